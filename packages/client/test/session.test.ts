import { describe, expect, test } from 'vitest'
import { UsageError } from '@conclave/core'
import { OpCode } from '@conclave/protocol'
import {
  AuthFailedError,
  ConnectionLossError,
  SessionExpiredError,
  ZooKeeper,
  type HostProvider,
} from '@conclave/client'
import { settle } from '@conclave/testing'
import { FakeEnsemble } from './support/fake-ensemble.ts'
import { CHALLENGE, knowing } from './support/sasl-server.ts'
import { looseEnd, outcomeOf, recordStates, Simulation } from './support/simulation.ts'

describe('connecting', () => {
  test('session - it is confirmed before connect resolves', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    expect(zk.state).toBe('connected')
    expect(zk.session).toMatchObject({ sessionId: 0x100n, negotiatedTimeoutMs: 9_000 })
    await zk.close()
    expect(simulation.ensemble.sessions.size).toBe(0)
    expect(simulation.clock.timers).toBe(0)
  })

  test('servers - each of a round is tried, the silent ones for the connect timeout', async () => {
    const simulation = new Simulation()
    simulation.network.serve('zk2', 'silent')
    simulation.network.serve('zk3', 'silent')
    const connecting = simulation.connecting({ connectTimeoutMs: 1_000 }, 'zk2,zk3,zk4,zk1')
    await simulation.clock.advance(2_000)
    const zk = await connecting
    expect(new Set(simulation.network.dialed).has('zk1')).toBe(true)
    await zk.close()
  })

  test('nobody there - connect rejects after its time with what the last attempt came to', async () => {
    const simulation = new Simulation()
    const connecting = simulation.connecting({ establishTimeoutMs: 5_000 }, 'nowhere')
    await simulation.clock.advance(4_999)
    expect(await outcomeOf(connecting)).toBe('pending')
    await simulation.clock.advance(1)
    await expect(connecting).rejects.toThrow('no ZooKeeper server could be reached: refused')
    await expect(connecting).rejects.toBeInstanceOf(ConnectionLossError)
    expect(simulation.clock.timers).toBe(0)
  })

  test('backing off - rounds come at growing intervals, below an eighth of the session timeout', async () => {
    const simulation = new Simulation()
    const connecting = simulation.connecting({ establishTimeoutMs: 60_000 }, 'nowhere')
    await simulation.clock.advance(25 + 50 + 100 + 200 + 400 - 1)
    expect(simulation.network.dialed).toHaveLength(5)
    await simulation.clock.advance(1)
    expect(simulation.network.dialed).toHaveLength(6)
    await simulation.clock.advance(9_000)
    expect(simulation.network.dialed.length).toBeGreaterThan(6 + 9_000 / 1_125)
    await simulation.clock.advance(60_000)
    await expect(connecting).rejects.toBeInstanceOf(ConnectionLossError)
  })

  test('names - every address is tried, and looked up again in each round', async () => {
    const simulation = new Simulation()
    const lookups: string[] = []
    simulation.network.lookup = host => {
      lookups.push(host)
      return Promise.resolve(lookups.length === 1 ? ['10.0.0.1', '10.0.0.2'] : ['zk1'])
    }
    const connecting = simulation.connecting({}, 'ensemble.local')
    await simulation.clock.advance(100)
    const zk = await connecting
    expect(new Set(simulation.network.dialed)).toEqual(new Set(['10.0.0.1', '10.0.0.2', 'zk1']))
    expect(lookups).toEqual(['ensemble.local', 'ensemble.local'])
    await zk.close()
  })

  test('abort - connect rejects at once and nothing is left', async () => {
    const simulation = new Simulation()
    const controller = new AbortController()
    const connecting = simulation.connecting({ signal: controller.signal }, 'nowhere')
    await settle()
    controller.abort(new Error('enough'))
    await expect(connecting).rejects.toMatchObject({ code: 'ABORTED', cause: { message: 'enough' } })
    expect(simulation.clock.timers).toBe(0)
  })

  test('credentials - refused ones end the session for good', async () => {
    const simulation = new Simulation()
    simulation.ensemble.acceptsAuth = false
    const auth = [{ scheme: 'digest', auth: 'user:secret' }]
    await expect(simulation.connecting({ auth })).rejects.toBeInstanceOf(AuthFailedError)
    const zk = await simulation.connect()
    await expect(zk.addAuth('digest', 'user:secret')).rejects.toBeInstanceOf(AuthFailedError)
    expect(zk.state).toBe('closed')
    await expect(zk.exists('/a')).rejects.toBeInstanceOf(AuthFailedError)
    await expect(zk.addAuth('digest', 'user:secret')).rejects.toBeInstanceOf(AuthFailedError)
  })

  test('credentials - each connection proves them again, and those added later too', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect({ auth: [{ scheme: 'digest', auth: 'one:1' }] })
    await zk.addAuth('digest', 'two:2')
    expect(simulation.ensemble.received).toEqual([OpCode.auth, OpCode.auth])
    simulation.network.last.cut()
    await settle()
    const third = zk.addAuth('digest', 'three:3')
    await simulation.clock.advance(50)
    await third
    expect(simulation.ensemble.received.slice(2)).toEqual([OpCode.auth, OpCode.auth, OpCode.auth])
    await zk.close()
  })

  test('SASL - nothing goes out before both sides have proven that they know the password', async () => {
    const credentials = { username: 'bob', password: 'secret' }
    const simulation = new Simulation()
    simulation.ensemble.sasl = knowing(credentials)
    const zk = await simulation.connect({ sasl: credentials })
    await zk.exists('/a')
    simulation.network.last.cut()
    const waiting = zk.exists('/b')
    await simulation.clock.advance(50)
    await waiting
    const { sasl, exists } = OpCode
    expect(simulation.ensemble.received).toEqual([sasl, sasl, exists, sasl, sasl, exists])
    await zk.close()
    const wrong = simulation.connecting({ sasl: { ...credentials, password: 'wrong' } })
    await expect(wrong).rejects.toBeInstanceOf(AuthFailedError)
    // A server that takes any answer does not know the password.
    simulation.ensemble.sasl = token => (token === '' ? CHALLENGE : 'rspauth=0')
    await expect(simulation.connecting({ sasl: credentials })).rejects.toBeInstanceOf(AuthFailedError)
  })

  test('host provider - one that cannot be used ends connect at once, one that fails is asked again', async () => {
    const simulation = new Simulation()
    const unusable = { resolve: () => Promise.reject(new UsageError('no such way to find servers')) }
    const { platform } = simulation
    await expect(ZooKeeper.connect(unusable, { platform })).rejects.toThrow('no such way to find servers')
    expect(simulation.clock.timers).toBe(0)
    let asked = 0
    const failing = {
      resolve: () =>
        asked++ === 0 ? Promise.reject(new Error('not now')) : Promise.resolve([{ host: 'zk1', port: 2181 }]),
    }
    const connecting = ZooKeeper.connect(failing, { platform })
    await simulation.clock.advance(1_000)
    await (await connecting).close()
    expect(asked).toBe(2)
  })

  test('read-only server - it is passed over unless asked for', async () => {
    const simulation = new Simulation()
    simulation.ensemble.readOnly = true
    const zk = await simulation.connect({ allowReadOnly: true })
    expect(zk.state).toBe('readOnly')
    const refused = simulation.connecting({ establishTimeoutMs: 1_000 })
    await simulation.clock.advance(1_000)
    await expect(refused).rejects.toThrow('only reads')
    await zk.close()
  })

  test('read-only server - one that writes is looked for, and its session is a new one', async () => {
    const simulation = new Simulation()
    const writing = new FakeEnsemble()
    simulation.ensemble.readOnly = true
    const zk = await simulation.connect({ allowReadOnly: true }, 'zk1,zk2')
    const states = recordStates(zk)
    await simulation.clock.advance(5_000)
    expect([zk.state, states]).toEqual(['readOnly', []])
    simulation.network.serve('zk2', writing.accept)
    await simulation.clock.advance(60_000)
    expect(states).toEqual(['suspended:moving', 'connected'])
    expect(zk.endpoint?.host).toBe('zk2')
    expect(writing.greetings[0]).toMatchObject({ sessionId: 0n, readOnly: true })
    await zk.close()
    await settle()
    expect([simulation.clock.timers, simulation.network.connections.size]).toEqual([0, 0])
  })

  test('attaching - a session goes on by its id and password; one that is gone is an error', async () => {
    const simulation = new Simulation()
    const first = await simulation.connect()
    const { session } = first
    await first.detach()
    expect(first.state).toBe('closed')
    const second = await simulation.connect({ session })
    expect(second.session.sessionId).toBe(session.sessionId)
    await second.close()
    const third = simulation.connecting({ session })
    await expect(third).rejects.toBeInstanceOf(SessionExpiredError)
  })
})

describe('heartbeat', () => {
  test('pings - one for each third of the session timeout without a request', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    await simulation.clock.advance(2_999)
    expect(simulation.ensemble.received).toEqual([])
    await simulation.clock.advance(1)
    expect(simulation.ensemble.received).toEqual([OpCode.ping])
    await simulation.clock.advance(6_000)
    expect(simulation.ensemble.received).toEqual([OpCode.ping, OpCode.ping, OpCode.ping])
    await zk.close()
  })

  test('deadline - it counts from the sending of the last request that was answered', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    const startMs = simulation.clock.nowMs()
    expect(zk.sessionDeadlineMs).toBe(startMs + 9_000)
    await simulation.clock.advance(1_000)
    await zk.exists('/a')
    expect(zk.sessionDeadlineMs).toBe(startMs + 10_000)
    simulation.ensemble.mute = true
    await simulation.clock.advance(4_000)
    expect(zk.sessionDeadlineMs).toBe(startMs + 10_000)
    await zk.detach()
  })

  test('silence - after two thirds of the session timeout the connection is given up and another made', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    const states = recordStates(zk)
    simulation.network.isSilent = true
    await simulation.clock.advance(5_999)
    expect(states).toEqual([])
    await simulation.clock.advance(1)
    expect(states).toEqual(['suspended:silent'])
    simulation.network.isSilent = false
    await simulation.clock.advance(3_100)
    expect(states).toEqual(['suspended:silent', 'connected'])
    expect(simulation.ensemble.sessions.size).toBe(1)
    await zk.close()
  })

  test('blocked event loop - answers that wait unread are read before the server is called silent', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    const states = recordStates(zk)
    await simulation.clock.advance(2_900)
    // The ping goes out late; its answer comes while nobody looks.
    simulation.clock.block(7_000)
    await simulation.clock.advance(10)
    expect(states).toEqual([])
    await zk.close()
  })
})

describe('suspended', () => {
  test('reads - they are sent again and answered within the same session', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    const states = recordStates(zk)
    simulation.ensemble.set('/a', 'x')
    simulation.ensemble.mute = true
    const read = looseEnd(zk.getData('/a'))
    await settle()
    simulation.ensemble.mute = false
    simulation.network.last.cut()
    await simulation.clock.advance(50)
    expect((await read).data?.toString()).toBe('x')
    expect(states).toEqual(['suspended:disconnected', 'connected'])
    expect(simulation.ensemble.greetings.map(({ sessionId }) => sessionId)).toEqual([0n, 0x100n])
    await zk.close()
  })

  test('writes - one that was sent has an unknown outcome, one that was not is sent later', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    simulation.ensemble.set('/a', 'x')
    simulation.ensemble.mute = true
    const sent = looseEnd(zk.setData('/a', 'y'))
    await settle()
    simulation.ensemble.mute = false
    simulation.network.last.cut()
    await settle()
    const later = looseEnd(zk.setData('/a', 'z'))
    expect(await outcomeOf(sent)).toBe('ConnectionLossError:unknown')
    expect(await outcomeOf(later)).toBe('pending')
    await simulation.clock.advance(50)
    expect((await later).version).toBe(2)
    await zk.close()
  })

  test('patience - what waits is told when the session could be gone and a further round has failed', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    simulation.network.stop('zk1')
    await settle()
    const read = looseEnd(zk.exists('/a'))
    const write = looseEnd(zk.setData('/a', 'y'))
    await simulation.clock.advance(8_900)
    expect(await outcomeOf(read)).toBe('pending')
    await simulation.clock.advance(1_300)
    expect(await outcomeOf(read)).toBe('ConnectionLossError:not-applied')
    expect(await outcomeOf(write)).toBe('ConnectionLossError:not-applied')
    expect(zk.state).toBe('suspended')
    simulation.network.serve('zk1', simulation.ensemble.accept)
    await simulation.clock.advance(1_300)
    expect(zk.state).toBe('connected')
    await zk.close()
  })

  test('patience - while a host provider does not answer, what waits is told, and it is asked again', async () => {
    const simulation = new Simulation()
    const { platform, network, clock } = simulation
    const searches: AbortSignal[] = []
    let hangs = false
    const provider: HostProvider = {
      resolve: signal => {
        searches.push(signal)
        if (!hangs) return Promise.resolve([{ host: 'zk1', port: 2181 }])
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(new Error('nobody asks any more')))
        })
      },
    }
    const connecting = ZooKeeper.connect(provider, { sessionTimeoutMs: 9_000, platform })
    await settle()
    const zk = await connecting
    hangs = true
    network.last.cut()
    await settle()
    const read = looseEnd(zk.exists('/a'))
    await clock.advance(8_900)
    expect(await outcomeOf(read)).toBe('pending')
    await clock.advance(1_000)
    expect(await outcomeOf(read)).toBe('ConnectionLossError:not-applied')
    expect(searches.map(({ aborted }) => aborted)).toEqual([true, true, false])
    hangs = false
    await clock.advance(10_000)
    expect(zk.state).toBe('connected')
    await zk.close()
  })

  test('an unreadable answer - its request fails once, the others go on', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect({ maxReplyBytes: 300 })
    simulation.ensemble.set('/big', 'x'.repeat(500))
    simulation.ensemble.set('/small', 'x')
    const big = looseEnd(zk.getData('/big'))
    const small = looseEnd(zk.getData('/small'))
    await simulation.clock.advance(50)
    await expect(big).rejects.toMatchObject({ code: 'UNREADABLE_REPLY', path: '/big' })
    expect((await small).data?.toString()).toBe('x')
    await zk.close()
  })
})

describe('lost', () => {
  test('expiry - requests are told, and a new session takes its place', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    const states = recordStates(zk)
    simulation.ensemble.mute = true
    const write = looseEnd(zk.setData('/a', 'x'))
    const read = looseEnd(zk.exists('/a'))
    await settle()
    simulation.ensemble.mute = false
    simulation.ensemble.expire(zk.session.sessionId)
    await settle()
    const waiting = looseEnd(zk.create('/b'))
    expect(await outcomeOf(write)).toBe('ConnectionLossError:unknown')
    await simulation.clock.advance(100)
    expect(await outcomeOf(read)).toBe('SessionExpiredError:not-applied')
    expect(await outcomeOf(waiting)).toBe('SessionExpiredError:not-applied')
    expect(states).toEqual(['suspended:disconnected', 'lost:expired', 'connecting', 'connected'])
    expect(zk.session.sessionId).toBe(0x101n)
    // A new session may begin anywhere: it has seen nothing yet.
    expect(simulation.ensemble.greetings.at(-1)).toMatchObject({ sessionId: 0n, lastZxidSeen: 0n })
    await zk.close()
  })

  test('expiry - without renewal the client is closed', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect({ renewSession: false })
    const states = recordStates(zk)
    simulation.ensemble.expire(zk.session.sessionId)
    await simulation.clock.advance(100)
    expect(states).toEqual(['suspended:disconnected', 'lost:expired', 'closed:expired'])
    await expect(zk.exists('/a')).rejects.toBeInstanceOf(SessionExpiredError)
    await zk.close()
  })

  test('last zxid - a reconnect says what was seen', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    simulation.ensemble.set('/a', '0')
    await zk.exists('/a')
    simulation.network.last.cut()
    await simulation.clock.advance(50)
    expect(simulation.ensemble.greetings.at(-1)).toMatchObject({ sessionId: 0x100n, lastZxidSeen: 1n })
    await zk.close()
  })
})

describe('moving', () => {
  test('reconnect - what was sent is answered first, what comes meanwhile goes to the next server', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    simulation.ensemble.set('/a', 'x')
    const states = recordStates(zk)
    const write = zk.setData('/a', 'y')
    zk.reconnect()
    const later = zk.setData('/a', 'z')
    await simulation.clock.advance(0)
    expect([(await write).version, (await later).version]).toEqual([1, 2])
    expect(states).toEqual(['suspended:moving', 'connected'])
    expect(simulation.ensemble.sessions.size).toBe(1)
    await zk.close()
  })

  test('servers - a client whose server is no longer in the list goes to one that is', async () => {
    const simulation = new Simulation()
    simulation.network.serve('zk2', simulation.ensemble.accept)
    const zk = await simulation.connect()
    expect(zk.endpoint?.host).toBe('zk1')
    zk.updateServers('zk2,zk1')
    zk.updateServers('zk2')
    await simulation.clock.advance(0)
    expect(zk.endpoint?.host).toBe('zk2')
    expect(simulation.ensemble.sessions.size).toBe(1)
    await zk.close()
  })

  test('servers - what a provider of the caller finds cannot be updated', async () => {
    const simulation = new Simulation()
    const hosts = { resolve: () => Promise.resolve([{ host: 'zk1', port: 2181 }]) }
    const zk = await ZooKeeper.connect(hosts, { platform: simulation.platform })
    expect(() => zk.updateServers('zk2')).toThrow('only a list of servers')
    await zk.close()
  })
})

describe('states', () => {
  test('iteration - it begins with the present state and ends with closed', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    const seen = (async () => {
      const states: string[] = []
      for await (const { state } of zk.states()) states.push(state)
      return states
    })()
    simulation.network.last.cut()
    await simulation.clock.advance(50)
    await zk.close()
    expect(await seen).toEqual(['connected', 'suspended', 'connected', 'closed'])
  })

  test('iteration - a consumer that fell behind gets the newest and is told how many it missed', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    const states = zk.states()
    expect((await states.next()).value).toMatchObject({ state: 'connected', missed: 0 })
    for (let i = 0; i < 50; i++) {
      simulation.network.last.cut()
      await simulation.clock.advance(50)
    }
    expect((await states.next()).value).toMatchObject({ missed: 100 - 64 })
    expect((await states.next()).value).toMatchObject({ missed: 0 })
    await states.return!()
    await zk.close()
  })
})
