import { closeSession, create, exists, getData, OPEN_ACL, ping, setData } from '@conclave/protocol'
import { EmbeddedServer } from '@conclave/server'
import { eventually, RawSession } from '@conclave/testing'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { startServer } from '../support/embedded.ts'

const EPHEMERAL = 1
const znode = (
  path: string,
  flags = 0,
): { path: string; data: Buffer; acl: typeof OPEN_ACL; flags: number } => ({
  path,
  data: Buffer.from('x'),
  acl: OPEN_ACL,
  flags,
})

test('session - the timeout that is granted lies between two and twenty ticks', async () => {
  await using running = await startServer({ tickTimeMs: 1_000 })
  for (const [asked, granted] of [
    [1, 2_000],
    [5_000, 5_000],
    [100_000, 20_000],
  ] as const) {
    await using session = await RawSession.connect(running.server.endpoint, { timeoutMs: asked })
    expect(session.granted.timeoutMs).toBe(granted)
  }
})

test('session - it goes on with another connection, and the one it had is ended', async () => {
  await using running = await startServer()
  const first = await RawSession.connect(running.server.endpoint)
  await first.call(create, znode('/mine', EPHEMERAL))
  const { sessionId, password } = first.granted
  await using second = await RawSession.connect(running.server.endpoint, { sessionId, password })
  expect(second.sessionId).toBe(sessionId)
  await first.ended
  expect((await second.call(exists, { path: '/mine', watch: false })).response?.stat.ephemeralOwner).toBe(
    sessionId,
  )
})

test('session - with a wrong password, or unknown, it is refused and the connection ended', async () => {
  await using running = await startServer()
  await using owner = await RawSession.connect(running.server.endpoint)
  await owner.call(create, znode('/mine', EPHEMERAL))
  const { sessionId } = owner.granted
  for (const options of [
    { sessionId, password: Buffer.alloc(16, 1) },
    { sessionId: 77n, password: owner.granted.password },
  ]) {
    await using refused = await RawSession.connect(running.server.endpoint, options)
    expect(refused.granted).toMatchObject({ timeoutMs: 0, sessionId: 0n })
    expect(Buffer.from(refused.granted.password)).toEqual(Buffer.alloc(16))
    await refused.ended
  }
  await using other = await RawSession.connect(running.server.endpoint)
  expect((await other.call(exists, { path: '/mine', watch: false })).errorCode).toBe(0)
})

test('session - a client that has seen a later zxid is not answered', async () => {
  await using running = await startServer()
  await expect(RawSession.connect(running.server.endpoint, { lastZxidSeen: 1_000n })).rejects.toThrow(/ended/)
})

test('session - the old form of the handshake is answered in the old form', async () => {
  await using running = await startServer()
  for (const [readOnly, bytes] of [
    [undefined, 36],
    [false, 37],
  ] as const) {
    const length = await new Promise<number>(resolve => {
      const socket = connect(running.server.endpoint, () => socket.write(handshake(readOnly)))
      socket.once('data', data => {
        resolve(data.readInt32BE(0))
        socket.destroy()
      })
    })
    expect(length).toBe(bytes)
  }
})

/** Length, protocol version, last zxid, timeout, session, password, and whether a server that only reads will do. */
function handshake(readOnly: boolean | undefined): Buffer {
  const out = Buffer.alloc(48 + (readOnly === undefined ? 0 : 1))
  out.writeInt32BE(out.length - 4, 0)
  out.writeInt32BE(10_000, 16)
  out.writeInt32BE(16, 28)
  return out
}

test('session - when it is not heard of it expires, its ephemerals go, and watchers are told', async () => {
  await using running = await startServer({ tickTimeMs: 50 })
  await using watcher = await RawSession.connect(running.server.endpoint, { timeoutMs: 1_000 })
  const silent = await RawSession.connect(running.server.endpoint, { timeoutMs: 100 })
  await silent.call(create, znode('/mine', EPHEMERAL))
  await watcher.call(exists, { path: '/mine', watch: true })
  await eventually(async () => {
    await watcher.call(ping, undefined)
    return watcher.events.length > 0
  })
  expect(watcher.events).toMatchObject([{ type: 2, path: '/mine' }])
  await silent.ended
  const { sessionId, password } = silent.granted
  await using late = await RawSession.connect(running.server.endpoint, { sessionId, password })
  expect(late.granted.timeoutMs).toBe(0)
})

test('session - closing it deletes its ephemerals before the answer, then the connection ends', async () => {
  await using running = await startServer()
  await using watcher = await RawSession.connect(running.server.endpoint)
  const session = await RawSession.connect(running.server.endpoint)
  await session.call(create, znode('/mine', EPHEMERAL))
  expect((await session.call(closeSession, undefined)).errorCode).toBe(0)
  await session.ended
  expect((await watcher.call(exists, { path: '/mine', watch: false })).errorCode).toBe(-101)
})

test('session - it lives over a restart of the server, with its ephemerals and its timeout', async () => {
  await using running = await startServer()
  const session = await RawSession.connect(running.server.endpoint, { timeoutMs: 12_345 })
  await session.call(create, znode('/mine', EPHEMERAL))
  const before = await session.call(setData, { path: '/mine', data: Buffer.from('y'), version: -1 })
  await running.server.close()
  await session.ended
  await using again = await startServer({ dataDir: running.dataDir })
  const { sessionId, password } = session.granted
  await using resumed = await RawSession.connect(again.server.endpoint, {
    sessionId,
    password,
    timeoutMs: 12_345,
    lastZxidSeen: before.zxid,
  })
  expect(resumed.granted).toMatchObject({ sessionId, timeoutMs: 12_345 })
  const after = await resumed.call(getData, { path: '/mine', watch: false })
  expect(after.response?.data?.toString()).toBe('y')
  expect(after.zxid).toBe(before.zxid)
})

test('server - ends by itself when nobody was connected for the time that was asked', async () => {
  await using running = await startServer({ idleExitMs: 50 })
  const session = await RawSession.connect(running.server.endpoint)
  await session.call(ping, undefined)
  await session.close()
  await running.server.closed
  await expect(
    EmbeddedServer.start({ dataDir: running.dataDir, port: 0 }).then(server => server.close()),
  ).resolves.toBeUndefined()
})
