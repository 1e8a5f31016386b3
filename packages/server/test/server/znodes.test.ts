import {
  auth,
  create,
  createContainer,
  createTtl,
  deleteNode,
  exists,
  getAcl,
  getData,
  OPEN_ACL,
  setWatches2,
  whoAmI,
} from '@conclave/protocol'
import { eventually, RawSession } from '@conclave/testing'
import { expect, test } from 'vitest'
import { passwordDigest } from '../../src/state/access.ts'
import { startServer } from '../support/embedded.ts'

const NO_NODE = -101
const NO_AUTH = -102
const SEQUENTIAL = 2
const CONTAINER = 4
const TTL = 5

const at = (path: string, flags = 0) => ({ path, data: null, acl: OPEN_ACL, flags })

async function isThere(session: RawSession, path: string): Promise<boolean> {
  return (await session.call(exists, { path, watch: false })).errorCode === 0
}

test('container - goes when its last child has gone, not before it had one', async () => {
  await using running = await startServer({ containerCheckIntervalMs: 20 })
  await using session = await RawSession.connect(running.server.endpoint)
  for (const path of ['/used', '/fresh']) await session.call(createContainer, at(path, CONTAINER))
  await session.call(create, at('/used/a'))
  await session.call(createContainer, at('/sentinel', CONTAINER))
  await session.call(create, at('/sentinel/a'))
  await session.call(deleteNode, { path: '/sentinel/a', version: -1 })
  await eventually(async () => !(await isThere(session, '/sentinel')))
  expect(await isThere(session, '/used')).toBe(true)
  await session.call(deleteNode, { path: '/used/a', version: -1 })
  await eventually(async () => !(await isThere(session, '/used')))
  expect(await isThere(session, '/fresh')).toBe(true)
})

test('ttl - a znode without children goes when it was not changed for its time', async () => {
  await using running = await startServer({ containerCheckIntervalMs: 20 })
  await using session = await RawSession.connect(running.server.endpoint)
  await session.call(createTtl, { ...at('/short', TTL), ttlMs: 30 })
  await session.call(createTtl, { ...at('/parent', TTL), ttlMs: 30 })
  await session.call(create, at('/parent/a'))
  await session.call(createTtl, { ...at('/long', TTL), ttlMs: 1_000_000 })
  await eventually(async () => !(await isThere(session, '/short')))
  expect(await isThere(session, '/parent')).toBe(true)
  expect(await isThere(session, '/long')).toBe(true)
  await session.call(deleteNode, { path: '/parent/a', version: -1 })
  await eventually(async () => !(await isThere(session, '/parent')))
})

test('sequence - the numbers wrap from the largest to the smallest, as in ZooKeeper', async () => {
  await using running = await startServer()
  await using session = await RawSession.connect(running.server.endpoint)
  await session.call(create, at('/locks'))
  expect(running.server.presetSequence('/locks', 2_147_483_646)).toBe(true)
  expect(running.server.presetSequence('/nothing', 1)).toBe(false)
  const names: (string | undefined)[] = []
  for (let i = 0; i < 4; i++) {
    names.push((await session.call(create, at('/locks/l-', SEQUENTIAL))).response?.path)
  }
  expect(names).toEqual([
    '/locks/l-2147483646',
    '/locks/l-2147483647',
    '/locks/l--2147483648',
    '/locks/l--2147483647',
  ])
})

test('superuser - may do everything', async () => {
  await using running = await startServer({ superDigest: passwordDigest('super:secret') })
  await using owner = await RawSession.connect(running.server.endpoint)
  await using other = await RawSession.connect(running.server.endpoint)
  await owner.call(auth, { type: 0, scheme: 'digest', auth: Buffer.from('bob:pw') })
  const acl = [{ perms: 31, scheme: 'auth', id: '' }]
  await owner.call(create, { path: '/secret', data: Buffer.from('x'), acl, flags: 0 })
  expect((await other.call(getData, { path: '/secret', watch: false })).errorCode).toBe(NO_AUTH)
  await other.call(auth, { type: 0, scheme: 'digest', auth: Buffer.from('super:wrong') })
  expect((await other.call(getData, { path: '/secret', watch: false })).errorCode).toBe(NO_AUTH)
  await other.call(auth, { type: 0, scheme: 'digest', auth: Buffer.from('super:secret') })
  expect((await other.call(getData, { path: '/secret', watch: false })).response?.data?.toString()).toBe('x')
  expect((await other.call(getAcl, { path: '/secret' })).response?.acl).toEqual([
    { perms: 31, scheme: 'digest', id: passwordDigest('bob:pw') },
  ])
  const users = (await other.call(whoAmI, undefined)).response?.clientInfo.map(({ authScheme }) => authScheme)
  expect(users).toContain('super')
})

test('exists - of what may not be read it tells nothing, now and later', async () => {
  await using running = await startServer()
  await using owner = await RawSession.connect(running.server.endpoint)
  await using other = await RawSession.connect(running.server.endpoint)
  await owner.call(auth, { type: 0, scheme: 'digest', auth: Buffer.from('bob:pw') })
  const acl = [{ perms: 31, scheme: 'auth', id: '' }]
  await owner.call(create, { path: '/secret', data: null, acl, flags: 0 })
  expect((await owner.call(exists, { path: '/secret', watch: false })).errorCode).toBe(0)
  expect((await other.call(exists, { path: '/secret', watch: true })).errorCode).toBe(NO_AUTH)
  expect((await other.call(exists, { path: '/none', watch: true })).errorCode).toBe(NO_NODE)
  await owner.call(create, at('/none'))
  await owner.call(deleteNode, { path: '/secret', version: -1 })
  await eventually(() => other.events.length > 0)
  await isThere(other, '/')
  expect(other.events.map(({ path }) => path)).toEqual(['/none'])
})

test('auth - an unknown scheme is refused, and the connection ended', async () => {
  await using running = await startServer()
  const session = await RawSession.connect(running.server.endpoint)
  const { errorCode } = await session.call(auth, { type: 0, scheme: 'kerberos', auth: Buffer.from('x') })
  expect(errorCode).toBe(-115)
  await session.ended
})

test('setWatches - what was missed comes before the answer, the rest is watched again', async () => {
  await using running = await startServer()
  await using session = await RawSession.connect(running.server.endpoint)
  await session.call(create, at('/kept'))
  const { zxid } = await session.call(create, at('/parent'))
  await session.call(create, at('/parent/new'))
  await session.call(setWatches2, {
    relativeZxid: zxid,
    dataWatches: ['/kept', '/deleted'],
    existWatches: ['/parent/new', '/absent'],
    childWatches: ['/parent', '/kept'],
    persistentWatches: ['/kept'],
    persistentRecursiveWatches: ['/parent'],
  })
  const replies = 4
  expect(session.events.map(({ type, path, afterReplies }) => [type, path, afterReplies - replies])).toEqual([
    [2, '/deleted', -1],
    [1, '/parent/new', -1],
    [4, '/parent', -1],
  ])
  session.events.length = 0
  await session.call(create, at('/absent'))
  await session.call(create, at('/parent/more'))
  await session.call(deleteNode, { path: '/kept', version: -1 })
  expect(session.events.map(({ type, path }) => [type, path])).toEqual([
    [1, '/absent'],
    [1, '/parent/more'],
    [2, '/kept'],
  ])
  expect((await session.call(getData, { path: '/kept', watch: false })).errorCode).toBe(NO_NODE)
})
