import { describe, expect, test } from 'vitest'
import { UsageError } from '@conclave/core'
import { ErrorCode, OpCode } from '@conclave/protocol'
import {
  AuthFailedError,
  ClientClosedError,
  closeSession,
  ConnectionLossError,
  RequestTooLargeError,
  SessionExpiredError,
  ZooKeeper,
  type HostProvider,
  type WatchedEvent,
} from '@conclave/client'
import { settle } from '@conclave/testing'
import { answerChallenge, type SaslCredentials } from '../src/sasl-digest-md5.ts'
import { FakeEnsemble } from './support/fake-ensemble.ts'
import { looseEnd, outcomeOf, recordStates, Simulation } from './support/simulation.ts'

const CHALLENGE = 'realm="zk-sasl-md5",nonce="n",qop="auth",charset=utf-8,algorithm=md5-sess'

/** The server's side of SASL, for one user. */
function knowing(credentials: SaslCredentials): (token: string) => string | undefined {
  return token => {
    if (token === '') return CHALLENGE
    const cnonce = /cnonce="([^"]+)"/.exec(token)![1]!
    const answer = answerChallenge(CHALLENGE, credentials, cnonce)
    return token === answer.token ? answer.expectedProof : undefined
  }
}

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

describe('watches', () => {
  test('one-shot - an event comes after the reply that set it and before the reply that shows it', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    simulation.ensemble.set('/a', '0')
    const log: string[] = []
    const note = async (name: string, promise: Promise<unknown>): Promise<void> => {
      // Some more turns of the microtask queue, as callers that wrap the call have.
      await promise
      await Promise.resolve()
      await Promise.resolve()
      log.push(name)
    }
    await Promise.all([
      note('set', zk.getData('/a', { watch: event => log.push(event.type) })),
      note('write', zk.setData('/a', '1')),
      note('read', zk.getData('/a')),
    ])
    expect(log).toEqual(['set', 'nodeDataChanged', 'write', 'read'])
    await zk.close()
  })

  test('exists - a watch on what is not there tells of its creation', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    const events: WatchedEvent[] = []
    expect(await zk.exists('/a', { watch: event => events.push(event) })).toBeNull()
    simulation.ensemble.set('/a', '0')
    await settle()
    expect(events).toEqual([{ type: 'nodeCreated', path: '/a', zxid: undefined }])
    await zk.close()
  })

  test('reconnect - watches are set again, and what happened meanwhile is told', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    const events: string[] = []
    simulation.ensemble.set('/changed', '0')
    simulation.ensemble.set('/deleted', '0')
    simulation.ensemble.set('/same', '0')
    for (const path of ['/changed', '/deleted', '/same', '/created']) {
      await zk.exists(path, { watch: event => events.push(`${event.type} ${event.path}`) })
    }
    simulation.network.last.cut()
    simulation.ensemble.set('/changed', '1')
    simulation.ensemble.delete('/deleted')
    simulation.ensemble.set('/created', '0')
    await simulation.clock.advance(50)
    expect(events.sort()).toEqual([
      'nodeCreated /created',
      'nodeDataChanged /changed',
      'nodeDeleted /deleted',
    ])
    simulation.ensemble.set('/same', '1')
    await settle()
    expect(events).toContain('nodeDataChanged /same')
    await zk.close()
  })

  test('lost session - every watch is told that it is gone', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    const events: string[] = []
    simulation.ensemble.set('/a', '0')
    await zk.getData('/a', { watch: event => events.push(`${event.type} ${event.path}`) })
    simulation.ensemble.expire(zk.session.sessionId)
    await simulation.clock.advance(100)
    expect(events).toEqual(['sessionLost /a'])
    await zk.close()
  })

  test('a watcher that throws - it stops neither the others nor the client', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    const thrown: unknown[] = []
    const listeners = process.rawListeners('uncaughtException') as ((error: Error) => void)[]
    process.removeAllListeners('uncaughtException')
    process.once('uncaughtException', error => thrown.push(error.message))
    simulation.ensemble.set('/a', '0')
    const events: string[] = []
    await zk.getData('/a', {
      watch: () => {
        throw new Error('mine')
      },
    })
    await zk.exists('/a', { watch: event => events.push(event.type) })
    simulation.ensemble.set('/a', '1')
    await settle()
    for (const listener of listeners) process.on('uncaughtException', listener)
    expect([events, thrown]).toEqual([['nodeDataChanged'], ['mine']])
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
    // 12, 24, 48 and what is left.
    await Promise.all(Array.from({ length: 100 }, () => zk.exists('/a')))
    expect(writes).toBe(1 + 4)
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
