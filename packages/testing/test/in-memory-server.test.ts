import { create, exists, OPEN_ACL, ping } from '@conclave/protocol'
import { inMemoryServer, RawSession, SimulatedDisk } from '@conclave/testing'
import { expect, test } from 'vitest'

const EPHEMERAL = 1

test('in-memory server - serves, and forgets nothing while its disk is there', async () => {
  const disk = new SimulatedDisk()
  const server = await inMemoryServer({ disk })
  const session = await RawSession.connect(server.endpoint)
  await session.call(create, { path: '/a', data: Buffer.from('x'), acl: OPEN_ACL, flags: 0 })
  await server.close()
  await using again = await inMemoryServer({ disk })
  await using later = await RawSession.connect(again.endpoint)
  expect((await later.call(exists, { path: '/a', watch: false })).errorCode).toBe(0)
})

test('in-memory server - a session can be expired: its ephemerals go, and it cannot come back', async () => {
  await using server = await inMemoryServer()
  const session = await RawSession.connect(server.endpoint)
  await using watcher = await RawSession.connect(server.endpoint)
  await session.call(create, { path: '/mine', data: null, acl: OPEN_ACL, flags: EPHEMERAL })
  expect(server.expireSession(session.sessionId)).toBe(true)
  expect(server.expireSession(session.sessionId)).toBe(false)
  await session.ended
  expect((await watcher.call(exists, { path: '/mine', watch: false })).errorCode).toBe(-101)
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
