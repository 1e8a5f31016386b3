import { describe, expect, test } from 'vitest'
import { RequestTooLargeError } from '@conclave/client'
import { settle } from '@conclave/testing'
import { looseEnd, outcomeOf, Simulation } from './support/simulation.ts'

describe('requests', () => {
  test('retryWrites - a write that was sent has an unknown outcome when it cannot be sent again', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect({ retryWrites: true })
    simulation.ensemble.mute = true
    const sent = looseEnd(zk.setData('/a', 'x'))
    const conditional = looseEnd(zk.setData('/a', 'y', { expectedVersion: 3 }))
    await settle()
    simulation.network.stop('zk1')
    await settle()
    expect(await outcomeOf(conditional)).toBe('ConnectionLossError:unknown')
    expect(await outcomeOf(sent)).toBe('pending')
    const never = looseEnd(zk.setData('/a', 'z'))
    await simulation.clock.advance(20_000)
    expect(await outcomeOf(sent)).toBe('ConnectionLossError:unknown')
    expect(await outcomeOf(never)).toBe('ConnectionLossError:not-applied')
    await zk.detach()
  })

  test('size - one above the limit is refused with its size, and those around it are not harmed', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect({ maxFrameBytes: 100 })
    simulation.ensemble.set('/a', 'x')
    const [before, tooLarge, after] = [zk.exists('/a'), zk.setData('/a', 'y'.repeat(100)), zk.exists('/a')]
    await expect(tooLarge).rejects.toBeInstanceOf(RequestTooLargeError)
    await expect(tooLarge).rejects.toMatchObject({
      sizeBytes: 122,
      maxBytes: 100,
      path: '/a',
      outcome: 'not-applied',
    })
    expect((await before)?.version).toBe(0)
    expect((await after)?.version).toBe(0)
    await zk.close()
  })

  test('turns - the requests of one turn go out in one write, and many of them in some more', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    let writes = 0
    const connection = simulation.network.last
    const write = connection.write.bind(connection)
    connection.write = bytes => {
      writes++
      return write(bytes)
    }
    await Promise.all(Array.from({ length: 12 }, () => zk.exists('/a')))
    expect(writes).toBe(1)
    // 24, 48 and what is left.
    await Promise.all(Array.from({ length: 100 }, () => zk.exists('/a')))
    expect(writes).toBe(1 + 3)
    await zk.close()
  })

  test('abort - before sending nothing goes out, after it the outcome of a write is unknown', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    const reason = new Error('enough')
    await expect(zk.exists('/a', { signal: AbortSignal.abort(reason) })).rejects.toMatchObject({
      code: 'ABORTED',
      outcome: 'not-applied',
      cause: reason,
    })
    const controller = new AbortController()
    const write = looseEnd(zk.setData('/a', 'x', { signal: controller.signal }))
    const read = looseEnd(zk.exists('/a', { signal: controller.signal }))
    process.nextTick(() => controller.abort(reason))
    await expect(write).rejects.toMatchObject({ code: 'ABORTED', outcome: 'unknown' })
    await expect(read).rejects.toMatchObject({ code: 'ABORTED', outcome: 'not-applied' })
    expect(simulation.ensemble.received).toEqual([])
    // The replies to what was aborted are dropped, and the next one finds its own.
    expect(await zk.exists('/a')).toBeNull()
    await zk.close()
  })

  test('abort - a read that was aborted leaves no watch', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    simulation.ensemble.set('/a', 'x')
    const controller = new AbortController()
    const events: unknown[] = []
    const read = looseEnd(zk.getData('/a', { watch: event => events.push(event), signal: controller.signal }))
    process.nextTick(() => controller.abort())
    await expect(read).rejects.toMatchObject({ code: 'ABORTED' })
    await settle()
    simulation.ensemble.set('/a', 'y')
    await settle()
    expect(events).toEqual([])
    await zk.close()
  })

  test('paths - a malformed one is refused without a word to the server', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    await expect(zk.exists('a')).rejects.toMatchObject({ code: 'BAD_ARGUMENTS', path: 'a' })
    await expect(zk.create('/a/')).rejects.toMatchObject({ code: 'BAD_ARGUMENTS' })
    expect(simulation.ensemble.received).toEqual([])
    await zk.close()
  })
})

describe('garbled answers', () => {
  test('body - its request fails, and those behind it are asked again', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    simulation.ensemble.set('/a', 'x')
    const garbled = looseEnd(zk.getData('/garbled'))
    const behind = zk.getData('/a')
    await simulation.clock.advance(50)
    await expect(garbled).rejects.toMatchObject({ code: 'UNREADABLE_REPLY', outcome: 'unknown' })
    expect((await behind).data?.toString()).toBe('x')
    expect(simulation.ensemble.sessions.size).toBe(1)
    await zk.close()
  })
})
