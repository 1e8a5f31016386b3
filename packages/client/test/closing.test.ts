import { describe, expect, test } from 'vitest'
import { ErrorCode, OpCode } from '@conclave/protocol'
import { AuthFailedError, ClientClosedError, closeSession, ConnectionLossError } from '@conclave/client'
import { settle } from '@conclave/testing'
import { FakeEnsemble } from './support/fake-ensemble.ts'
import { knowing } from './support/sasl-server.ts'
import { looseEnd, outcomeOf, Simulation } from './support/simulation.ts'

describe('closing', () => {
  test('order - requests made before it are answered, those after it are refused', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    simulation.ensemble.set('/a', 'x')
    const before = looseEnd(zk.getData('/a'))
    const closing = zk.close()
    const after = looseEnd(zk.getData('/a'))
    await expect(after).rejects.toBeInstanceOf(ClientClosedError)
    expect((await before).data?.toString()).toBe('x')
    await closing
    expect(zk.state).toBe('closed')
    await zk.close()
    expect(simulation.clock.timers).toBe(0)
  })

  test('while suspended - the session is closed by the next connection', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    simulation.network.last.cut()
    await settle()
    expect(zk.state).toBe('suspended')
    const closing = zk.close()
    await simulation.clock.advance(50)
    await closing
    expect(simulation.ensemble.sessions.size).toBe(0)
  })

  test('after a lost session - there is nothing to close, so nobody is looked for', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    zk.on('state', ({ state }) => state === 'lost' && simulation.network.stop('zk1'))
    simulation.ensemble.expire(zk.session.sessionId)
    await simulation.clock.advance(100)
    expect(zk.state).toBe('connecting')
    expect(await outcomeOf(zk.close())).toBe('resolved')
    expect(simulation.clock.timers).toBe(0)
  })

  test('nobody there - it ends after the close timeout, and what is under way is told', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect({ closeTimeoutMs: 2_000 })
    simulation.ensemble.mute = true
    const read = looseEnd(zk.exists('/a'))
    const write = looseEnd(zk.setData('/a', 'x'))
    await settle()
    const closing = zk.close()
    await simulation.clock.advance(1_999)
    expect(await outcomeOf(closing)).toBe('pending')
    await simulation.clock.advance(1)
    await closing
    expect(await outcomeOf(read)).toBe('ClientClosedError:not-applied')
    expect(await outcomeOf(write)).toBe('ClientClosedError:unknown')
    expect(simulation.clock.timers).toBe(0)
  })

  test('from a listener - it may be called while the state changes', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    zk.on('state', ({ state }) => state === 'suspended' && void zk.close())
    simulation.network.last.cut()
    await simulation.clock.advance(50)
    expect(zk.state).toBe('closed')
    expect(simulation.ensemble.sessions.size).toBe(0)
  })

  test("somebody else's session - it is closed by its id and password, and false once it is gone", async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    const { session, platform } = zk
    await zk.detach()
    expect(await closeSession('zk1', session, { platform })).toBe(true)
    expect(simulation.ensemble.sessions.size).toBe(0)
    expect(await closeSession('zk1', session, { platform })).toBe(false)
    await expect(closeSession('nowhere', session, { platform })).rejects.toBeInstanceOf(ConnectionLossError)
    expect(simulation.clock.timers).toBe(0)
  })

  test("somebody else's session - a server that will not close it says why, and another may", async () => {
    const simulation = new Simulation()
    const { session, platform } = await simulation.connect()
    const unwilling = new FakeEnsemble()
    unwilling.sessions.set(session.sessionId, simulation.ensemble.sessions.get(session.sessionId)!)
    unwilling.refusal = ErrorCode.throttledOp
    simulation.network.serve('zk2', unwilling.accept)
    await expect(closeSession('zk2', session, { platform })).rejects.toMatchObject({ code: 'THROTTLED' })
    unwilling.refusal = ErrorCode.sessionExpired
    expect(await closeSession('zk2', session, { platform })).toBe(false)
    unwilling.refusal = ErrorCode.sessionMoved
    const both = { resolve: () => Promise.resolve(['zk2', 'zk1'].map(host => ({ host, port: 2181 }))) }
    expect(await closeSession(both, session, { platform })).toBe(true)
    expect(simulation.ensemble.sessions.size).toBe(0)
  })

  test("somebody else's session - where a reset overtakes the answer that it is gone, it is asked again", async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    const { session, platform } = zk
    await zk.close()
    const { accept } = simulation.ensemble
    let dials = 0
    simulation.network.serve('zk1', socket => {
      if (dials++ > 0) return accept(socket)
      return { onData: () => socket.close(), onClose: () => {} }
    })
    expect(await closeSession('zk1', session, { platform })).toBe(false)
    expect(dials).toBe(2)
    expect(simulation.clock.timers).toBe(0)
  })

  test("somebody else's session - where the server wants SASL, that comes before closing it", async () => {
    const sasl = { username: 'bob', password: 'secret' }
    const simulation = new Simulation()
    simulation.ensemble.sasl = knowing(sasl)
    const zk = await simulation.connect({ sasl })
    const { session, platform } = zk
    await zk.detach()
    simulation.ensemble.received.length = 0
    const wrong = closeSession('zk1', session, { platform, sasl: { ...sasl, password: 'wrong' } })
    await expect(wrong).rejects.toBeInstanceOf(AuthFailedError)
    expect(simulation.ensemble.sessions.size).toBe(1)
    expect(await closeSession('zk1', session, { platform, sasl })).toBe(true)
    expect(simulation.ensemble.received.slice(2)).toEqual([OpCode.sasl, OpCode.sasl, OpCode.closeSession])
    expect(simulation.clock.timers).toBe(0)
  })
})
