import { UsageError } from '@conclave/core'
import {
  create,
  createContainer,
  createTtl,
  deleteNode,
  exists,
  getData,
  OPEN_ACL,
  ping,
  setData,
} from '@conclave/protocol'
import {
  eventually,
  fourLetterWord,
  inMemoryServer,
  RawSession,
  SimulatedDisk,
  type InMemoryServer,
} from '@conclave/testing'
import { describe, expect, test } from 'vitest'

const EPHEMERAL = 1
const CONTAINER = 4
const PERSISTENT_WITH_TTL = 5
const NO_NODE = -101

const made = (path: string, flags = 0) => ({ path, data: null, acl: OPEN_ACL, flags })

/** 0, or the code of the error. */
async function existence(server: InMemoryServer, path: string): Promise<number> {
  await using session = await RawSession.connect(server.endpoint)
  return (await session.call(exists, { path, watch: false })).errorCode
}

/** How long a call takes, in milliseconds of real time. */
async function measure(call: Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  await call
  return performance.now() - startedMs
}

test('in-memory server - serves, and forgets nothing while its disk is there', async () => {
  const disk = new SimulatedDisk()
  const server = await inMemoryServer({ disk })
  const session = await RawSession.connect(server.endpoint)
  await session.call(create, { path: '/a', data: Buffer.from('x'), acl: OPEN_ACL, flags: 0 })
  await server.close()
  await using again = await inMemoryServer({ disk })
  expect(await existence(again, '/a')).toBe(0)
})

test('in-memory server - a session can be expired: its ephemerals go, and it cannot come back', async () => {
  await using server = await inMemoryServer()
  const session = await RawSession.connect(server.endpoint)
  await session.call(create, made('/mine', EPHEMERAL))
  expect(server.expireSession(session.sessionId)).toBe(true)
  expect(server.expireSession(session.sessionId)).toBe(false)
  await session.ended
  expect(await existence(server, '/mine')).toBe(NO_NODE)
  const { sessionId, password } = session.granted
  await using refused = await RawSession.connect(server.endpoint, { sessionId, password })
  expect(refused.granted.timeoutMs).toBe(0)
})

test('in-memory server - connections can be dropped, and sessions go on', async () => {
  await using server = await inMemoryServer()
  const session = await RawSession.connect(server.endpoint)
  expect(server.dropConnections()).toBe(1)
  await session.ended
  const { sessionId, password } = session.granted
  await using again = await RawSession.connect(server.endpoint, { sessionId, password })
  expect((await again.call(ping, undefined)).errorCode).toBe(0)
})

describe('in-memory server - the clock', () => {
  test('in-memory server - stopped, a session expires when its timeout is advanced by, to the millisecond', async () => {
    await using server = await inMemoryServer({ tickTimeMs: 100 })
    await using session = await RawSession.connect(server.endpoint, { timeoutMs: 1_000 })
    server.stopClock()
    await session.call(create, made('/mine', EPHEMERAL))
    await server.advance(999)
    expect(session.isEnded).toBe(false)
    expect(await existence(server, '/mine')).toBe(0)
    await server.advance(1)
    await session.ended
    expect(await existence(server, '/mine')).toBe(NO_NODE)
  })

  test('in-memory server - stopped, a session that was heard of lives for its timeout from then', async () => {
    await using server = await inMemoryServer()
    await using session = await RawSession.connect(server.endpoint, { timeoutMs: 4_000 })
    server.stopClock()
    for (let i = 0; i < 5; i++) {
      await session.call(ping, undefined)
      await server.advance(3_999)
    }
    expect((await session.call(ping, undefined)).errorCode).toBe(0)
    await server.advance(4_000)
    await session.ended
  })

  test('in-memory server - stopped, nothing expires by itself however long it takes; started, it does', async () => {
    await using server = await inMemoryServer({ tickTimeMs: 10 })
    await using session = await RawSession.connect(server.endpoint, { timeoutMs: 20 })
    server.stopClock()
    await using beside = await inMemoryServer({ tickTimeMs: 10 })
    await using ordinary = await RawSession.connect(beside.endpoint, { timeoutMs: 100 })
    await ordinary.ended
    expect((await session.call(ping, undefined)).errorCode).toBe(0)
    server.startClock()
    await session.ended
  })

  test('in-memory server - advanced, it hears of nobody: a client that goes on talking does not save its session', async () => {
    await using server = await inMemoryServer()
    await using session = await RawSession.connect(server.endpoint, { timeoutMs: 4_000 })
    server.stopClock()
    const talk = async (): Promise<never> => {
      for (;;) await session.call(ping, undefined)
    }
    const lastWords = talk().catch(() => 'lost')
    await server.advance(4_000)
    expect(await lastWords).toBe('lost')
  })

  test('in-memory server - container and TTL znodes are removed when the time for it is advanced by', async () => {
    await using server = await inMemoryServer({ containerCheckIntervalMs: 1_000 })
    await using session = await RawSession.connect(server.endpoint, { timeoutMs: 40_000 })
    server.stopClock()
    await session.call(createTtl, { ...made('/short', PERSISTENT_WITH_TTL), ttlMs: 5_000 })
    await session.call(createContainer, made('/box', CONTAINER))
    await session.call(create, made('/box/a'))
    await session.call(deleteNode, { path: '/box/a', version: -1 })
    await server.advance(1_000)
    expect([await existence(server, '/short'), await existence(server, '/box')]).toEqual([0, NO_NODE])
    await session.call(setData, { path: '/short', data: null, version: -1 })
    await server.advance(5_000)
    expect(await existence(server, '/short')).toBe(0)
    await server.advance(1_000)
    expect(await existence(server, '/short')).toBe(NO_NODE)
  })

  test('in-memory server - the times of znodes are those of its clock', async () => {
    await using server = await inMemoryServer()
    await using session = await RawSession.connect(server.endpoint, { timeoutMs: 40_000 })
    server.stopClock()
    await session.call(create, made('/a'))
    await server.advance(1_234)
    await session.call(setData, { path: '/a', data: null, version: -1 })
    const { stat } = (await session.call(getData, { path: '/a', watch: false })).response!
    expect(stat.mtime - stat.ctime).toBe(1_234)
    expect(Math.abs(stat.ctime - Date.now())).toBeLessThan(60_000)
  })

  test('in-memory server - only a stopped clock can be advanced, and only forwards', async () => {
    await using server = await inMemoryServer()
    await expect(server.advance(1)).rejects.toThrow(UsageError)
    server.stopClock()
    await expect(server.advance(-1)).rejects.toThrow(UsageError)
    await server.advance(0)
  })

  test('in-memory server - it ends with its clock stopped', async () => {
    const server = await inMemoryServer()
    await using session = await RawSession.connect(server.endpoint)
    server.stopClock()
    await server.close()
    await session.ended
  })
})

describe('in-memory server - delays', () => {
  test('in-memory server - every answer is late by the delay of both ways, until it is lifted', async () => {
    await using server = await inMemoryServer()
    await using session = await RawSession.connect(server.endpoint)
    server.delay(30)
    expect(await measure(session.call(ping, undefined))).toBeGreaterThanOrEqual(59)
    expect(await measure(fourLetterWord(server.endpoint, 'ruok'))).toBeGreaterThanOrEqual(59)
    server.delay(600_000, { direction: 'toClient' })
    const late = session.call(ping, undefined)
    // Lifted for what is under way, too.
    server.delay(0)
    expect((await late).errorCode).toBe(0)
  })

  test('in-memory server - a request, or an answer alone, can be late', async () => {
    await using server = await inMemoryServer()
    await using session = await RawSession.connect(server.endpoint)
    await using other = await RawSession.connect(server.endpoint)
    const found = async (path: string): Promise<boolean> =>
      (await other.call(exists, { path, watch: false })).errorCode === 0
    const { sessionId } = session
    server.delay(600_000, { direction: 'toClient', sessionId })
    const done = session.call(create, made('/done'))
    await eventually(() => found('/done'))
    server.delay(0, { sessionId })
    await done

    server.delay(600_000, { direction: 'toServer', sessionId })
    const waiting = session.call(create, made('/waiting'))
    await other.call(ping, undefined)
    expect(await found('/waiting')).toBe(false)
    server.delay(0)
    expect((await waiting).errorCode).toBe(0)
  })

  test('in-memory server - one session can be slow, on whatever connection, and nobody else', async () => {
    await using server = await inMemoryServer()
    const slow = await RawSession.connect(server.endpoint)
    await using quick = await RawSession.connect(server.endpoint)
    const { sessionId, password } = slow.granted
    server.delay(600_000, { sessionId })
    const waiting = slow.call(ping, undefined).catch(() => 'lost')
    expect((await quick.call(ping, undefined)).errorCode).toBe(0)
    server.dropConnections()
    expect(await waiting).toBe('lost')

    const resumed = RawSession.connect(server.endpoint, { sessionId, password })
    let isThere = false
    void resumed.then(() => (isThere = true))
    await eventually(async () => /,sid=0x/.test(await fourLetterWord(server.endpoint, 'cons')))
    expect(isThere).toBe(false)
    server.delay(0, { sessionId })
    await using session = await resumed
    expect((await session.call(ping, undefined)).errorCode).toBe(0)
  })

  test('in-memory server - what a client said before it left is heard, however late', async () => {
    await using server = await inMemoryServer()
    const session = await RawSession.connect(server.endpoint)
    server.stopClock()
    server.delay(100, { direction: 'toServer' })
    const lost = session.call(create, made('/last')).catch(() => 'lost')
    await session.close()
    expect(await lost).toBe('lost')
    server.delay(0)
    await eventually(async () => (await existence(server, '/last')) === 0)
    await eventually(() => server.dropConnections() === 0)
  })

  test('in-memory server - delays are real time, while its clock is stopped as well', async () => {
    await using server = await inMemoryServer()
    await using session = await RawSession.connect(server.endpoint)
    server.stopClock()
    server.delay(30, { direction: 'toClient' })
    expect(await measure(session.call(ping, undefined))).toBeGreaterThanOrEqual(29)
  })

  test('in-memory server - a large answer, late, comes whole', async () => {
    await using server = await inMemoryServer()
    await using session = await RawSession.connect(server.endpoint)
    const data = Buffer.alloc(1_000_000, 'x')
    await session.call(create, { ...made('/large'), data })
    server.delay(5)
    const answers = Array.from({ length: 20 }, () => session.call(getData, { path: '/large', watch: false }))
    for (const { response } of await Promise.all(answers)) expect(response!.data!.length).toBe(data.length)
  })

  test('in-memory server - a delay is a number of milliseconds', async () => {
    await using server = await inMemoryServer()
    for (const delayMs of [-1, NaN]) expect(() => server.delay(delayMs)).toThrow(UsageError)
  })

  test('in-memory server - it ends while answers are under way', async () => {
    const server = await inMemoryServer()
    await using session = await RawSession.connect(server.endpoint)
    server.delay(600_000)
    const lost = session.call(ping, undefined).catch(() => 'lost')
    await server.close()
    expect(await lost).toBe('lost')
  })
})
