import { TimeoutError } from '@conclave/core'
import { eventually } from '@conclave/testing'
import { expect, test } from 'vitest'

test('eventually - resolves with the first value that is one', async () => {
  const values = [undefined, null, false, 0]
  expect(await eventually(() => values.shift(), { everyMs: 1 })).toBe(0)
  expect(values).toEqual([])
})

test('eventually - takes a condition that throws for one that does not hold yet', async () => {
  let looks = 0
  const value = await eventually(
    () => {
      if (++looks < 3) throw new Error('not yet')
      return 'there'
    },
    { everyMs: 1 },
  )
  expect(value).toBe('there')
  expect(looks).toBe(3)
})

test('eventually - rejects at the deadline with what was waited for and why it did not come', async () => {
  const never = eventually(() => Promise.reject(new Error('nobody is home')), {
    timeoutMs: 5,
    everyMs: 1,
    what: 'the answer',
  })
  await expect(never).rejects.toThrow(TimeoutError)
  await expect(never).rejects.toThrow('the answer (nobody is home) took longer than 5 ms')
  await expect(never).rejects.toMatchObject({ cause: new Error('nobody is home') })
})

test('eventually - looks at least once, even without time to wait', async () => {
  expect(await eventually(() => 'at once', { timeoutMs: 0 })).toBe('at once')
})
