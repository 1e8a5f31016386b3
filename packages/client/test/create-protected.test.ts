import { describe, expect, test } from 'vitest'
import type { CreateMode } from '@conclave/protocol'
import type { ZooKeeper } from '@conclave/client'
import { settle } from '@conclave/testing'
import { looseEnd, outcomeOf, Simulation } from './support/simulation.ts'

/** A create that was applied, and whose answer is lost with the servers. */
async function losesAnswer(
  mode: CreateMode,
  signal?: AbortSignal,
): Promise<{ simulation: Simulation; zk: ZooKeeper; creating: Promise<{ path: string }> }> {
  const simulation = new Simulation()
  const { ensemble, network } = simulation
  const zk = await simulation.connect()
  ensemble.mute = true
  const creating = looseEnd(zk.createProtected('/n-', 'mine', { mode, signal }))
  await settle()
  network.stop('zk1')
  ensemble.mute = false
  await settle()
  expect(ensemble.znodes.size).toBe(1)
  return { simulation, zk, creating }
}

describe('createProtected', () => {
  test('servers away - for however long within the session, it waits to be told what became of it', async () => {
    const { simulation, zk, creating } = await losesAnswer('persistentSequential')
    const { clock, ensemble, network } = simulation
    await clock.advance(60_000)
    expect(await outcomeOf(creating)).toBe('pending')
    network.serve('zk1', ensemble.accept)
    await clock.advance(10_000)
    expect((await creating).path).toBe([...ensemble.znodes.keys()][0])
    expect(ensemble.znodes.size).toBe(1)
    await zk.close()
  })

  test('unreadable answer - it is as good as a lost one', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    const creating = looseEnd(zk.createProtected('/garbled', 'mine', { mode: 'persistentSequential' }))
    await simulation.clock.advance(5_000)
    expect((await creating).path).toBe([...simulation.ensemble.znodes.keys()][0])
    await zk.close()
  })

  test('session gone - an ephemeral one is not made again in the next session', async () => {
    const { simulation, zk, creating } = await losesAnswer('ephemeralSequential')
    const { clock, ensemble, network } = simulation
    await clock.advance(20_000)
    ensemble.expire(zk.session.sessionId)
    ensemble.znodes.clear()
    network.serve('zk1', ensemble.accept)
    await clock.advance(10_000)
    expect(zk.state).toBe('connected')
    expect(await outcomeOf(creating)).toBe('SessionExpiredError:unknown')
    expect(ensemble.znodes.size).toBe(0)
    await zk.close()
  })

  test('abort and close - they end the search, and nobody knows what became of it', async () => {
    const controller = new AbortController()
    const aborted = await losesAnswer('persistentSequential', controller.signal)
    await aborted.simulation.clock.advance(20_000)
    controller.abort(new Error('enough'))
    expect(await outcomeOf(aborted.creating)).toBe('AbortedError:unknown')
    await aborted.zk.detach()
    const closed = await losesAnswer('persistentSequential')
    await closed.simulation.clock.advance(20_000)
    await closed.zk.detach()
    await closed.simulation.clock.advance(1_000)
    expect(await outcomeOf(closed.creating)).toBe('ClientClosedError:unknown')
    expect(closed.simulation.clock.timers).toBe(0)
  })
})
