import { UsageError } from '@conclave/core'
import { eventually, VirtualClock } from '@conclave/testing'
import { expect, test } from 'vitest'

test('virtual clock - advanced, it fires what is due in order, at its time, and what that sets as well', async () => {
  const clock = new VirtualClock()
  const fired: string[] = []
  const note = (name: string) => () => fired.push(`${name} ${clock.nowMs()}`)
  clock.setTimer(20, note('second'))
  clock.setTimer(10, () => {
    note('first')()
    clock.setTimer(5, note('set by the first'))
  })
  clock.setTimer(20, note('third'))
  clock.setTimer(31, note('too late'))
  clock.setTimer(1, note('cancelled')).cancel()
  await clock.advance(30)
  expect(fired).toEqual(['first 1010', 'set by the first 1015', 'second 1020', 'third 1020'])
  expect([clock.nowMs(), clock.wallMs(), clock.timers]).toEqual([1_030, 1_030, 1])
})

test('virtual clock - the time on the wall may begin anywhere, and goes along', async () => {
  const clock = new VirtualClock(5_000_000)
  await clock.advance(7)
  expect([clock.nowMs(), clock.wallMs()]).toEqual([1_007, 5_000_007])
})

test('virtual clock - running, it serves timers by itself; stopped, it serves none and shows one time', async () => {
  const clock = new VirtualClock()
  let fired = 0
  clock.setTimer(2, () => fired++)
  clock.run()
  expect(clock.isRunning).toBe(true)
  await eventually(() => fired === 1)
  expect(clock.nowMs()).toBeGreaterThanOrEqual(1_002)
  clock.setTimer(1, () => fired++)
  clock.stop()
  const stoppedMs = clock.nowMs()
  const startedMs = performance.now()
  await eventually(() => performance.now() > startedMs + 20)
  expect([fired, clock.nowMs()]).toEqual([1, stoppedMs])
  clock.run()
  await eventually(() => fired === 2)
})

test('virtual clock - a timer that is cancelled by another of the same moment is not served', async () => {
  const clock = new VirtualClock()
  let isOver = false
  clock.setTimer(1, () => later.cancel())
  const later = clock.setTimer(1, () => expect.unreachable())
  clock.setTimer(1, () => (isOver = true))
  clock.block(5)
  clock.run()
  await eventually(() => isOver)
  expect(clock.timers).toBe(0)
})

test('virtual clock - while it runs it cannot be advanced', async () => {
  const clock = new VirtualClock()
  clock.run()
  await expect(clock.advance(1)).rejects.toThrow(UsageError)
})
