import {
  AddWatchMode,
  addWatch,
  auth,
  closeSession,
  create,
  createContainer,
  createModeToFlags,
  createTtl,
  deleteNode,
  ErrorCode,
  exists,
  getAcl,
  getChildren2,
  getData,
  multi,
  OPEN_ACL,
  Permission,
  removeWatches,
  setAcl,
  setData,
  sync,
  WatcherType,
  type Acl,
} from '@conclave/protocol'
import { connect, fails, ok, ROOT, type Habit, WrongAnswerError } from './scene.ts'

const ANY_VERSION = -1
const PERSISTENT = createModeToFlags('persistent')
const CONTAINER = createModeToFlags('container')
const TTL = createModeToFlags('persistentWithTtl')

/** Values of one key are about as large at any time, so that all of them together stay so, too. */
export const KEYS = 128
const SIZES = [0, 10, 100, 1_000, 10_000, 100_000, 300_000]

const znode = (path: string, data: Buffer | null = null, acl: readonly Acl[] = OPEN_ACL) => ({
  path,
  data,
  acl,
  flags: PERSISTENT,
})

function valueOf(key: number, turn: number): Buffer {
  const bytes = SIZES[key % SIZES.length]!
  return Buffer.alloc(Math.round(bytes * (0.9 + 0.2 * ((turn % 11) / 10))), turn)
}

/** Values, made, changed, read and removed. */
export const store: Habit = async scene => {
  await using session = await connect(scene)
  for (let i = 0; i < 20; i++) {
    const key = (scene.turn * 20 + i) % KEYS
    const path = `${ROOT}/values/${key}`
    const value = valueOf(key, scene.turn)
    // Another visitor may just have deleted it, to create it again.
    await session.call(setData, { path, data: value, version: ANY_VERSION })
    await session.call(getData, { path, watch: i % 4 === 0 })
    if (i === 19) {
      await session.call(deleteNode, { path, version: ANY_VERSION })
      await session.call(create, znode(path, value))
    }
  }
  await ok(session.call(sync, { path: ROOT }))
  await ok(session.call(getChildren2, { path: `${ROOT}/values`, watch: false }))
  await ok(session.call(closeSession, undefined))
}

/** Transactions that succeed, and one that fails as a whole. */
export const transact: Habit = async scene => {
  await using session = await connect(scene)
  const path = `${ROOT}/transactions/${scene.turn}`
  const data = Buffer.alloc(scene.turn % 2_000)
  const version = ANY_VERSION
  await ok(
    session.call(multi, {
      ops: [
        { op: 'create', ...znode(path) },
        { op: 'create2', ...znode(`${path}/a`, data) },
        { op: 'setData', path, data, version },
        { op: 'check', path, version: 1 },
      ],
    }),
  )
  await session.call(multi, {
    ops: [
      { op: 'delete', path: `${path}/a`, version },
      { op: 'check', path, version: 77 },
    ],
  })
  await ok(
    session.call(multi, {
      ops: [
        { op: 'delete', path: `${path}/a`, version },
        { op: 'delete', path, version },
      ],
    }),
  )
  await ok(session.call(closeSession, undefined))
}

/** Watches of every kind, told of changes, taken back, or left behind. */
export const watch: Habit = async scene => {
  await using session = await connect(scene)
  const path = `${ROOT}/watched/${scene.turn}`
  await fails(ErrorCode.noNode, session.call(exists, { path, watch: true }))
  await ok(session.call(addWatch, { path, mode: AddWatchMode.persistentRecursive }))
  await ok(session.call(addWatch, { path: `${path}/a`, mode: AddWatchMode.persistent }))
  await ok(session.call(create, znode(path)))
  await ok(session.call(create, znode(`${path}/a`)))
  for (let i = 0; i < 5; i++) {
    await ok(session.call(getData, { path: `${path}/a`, watch: true }))
    await ok(session.call(getChildren2, { path, watch: true }))
    await ok(session.call(setData, { path: `${path}/a`, data: Buffer.from([i]), version: ANY_VERSION }))
  }
  await ok(session.call(removeWatches, { path, type: WatcherType.children }))
  await ok(session.call(removeWatches, { path: `${path}/a`, type: WatcherType.persistent }))
  if (scene.turn % 2 === 0)
    await ok(session.call(removeWatches, { path, type: WatcherType.persistentRecursive }))
  for (const each of [`${path}/a`, path])
    await ok(session.call(deleteNode, { path: each, version: ANY_VERSION }))
  await ok(session.call(closeSession, undefined))
  if (session.events.length === 0) throw new WrongAnswerError('no watch was told of anything')
}

/** Access lists that nobody had before, and identities that nobody has again. */
export const guard: Habit = async scene => {
  await using owner = await connect(scene)
  await using stranger = await connect(scene)
  const user = `user-${scene.turn}`
  await ok(owner.call(auth, { type: 0, scheme: 'digest', auth: Buffer.from(`${user}:secret`) }))
  const path = `${ROOT}/guarded/${scene.turn}`
  await ok(owner.call(create, znode(path, null, [{ perms: Permission.all, scheme: 'auth', id: '' }])))
  await fails(ErrorCode.noAuth, stranger.call(getData, { path, watch: true }))
  const { acl } = await ok(owner.call(getAcl, { path }))
  const ip = { perms: Permission.read, scheme: 'ip', id: `10.${scene.turn % 256}.0.1` }
  await ok(owner.call(setAcl, { path, acl: [...acl, ip], version: ANY_VERSION }))
  await ok(owner.call(deleteNode, { path, version: ANY_VERSION }))
  await ok(owner.call(closeSession, undefined))
  await ok(stranger.call(closeSession, undefined))
}

/** Znodes that are left to the server to remove. */
export const perish: Habit = async scene => {
  await using session = await connect(scene)
  const box = `${ROOT}/perishable/box-${scene.turn}`
  await ok(session.call(createContainer, { ...znode(box), flags: CONTAINER }))
  await ok(session.call(create, znode(`${box}/a`)))
  await ok(session.call(deleteNode, { path: `${box}/a`, version: ANY_VERSION }))
  const short = { ...znode(`${ROOT}/perishable/short-${scene.turn}`), flags: TTL, ttlMs: 200 }
  await ok(session.call(createTtl, short))
  await ok(session.call(closeSession, undefined))
}

/** A quota, reached and taken away. */
export const limit: Habit = async scene => {
  await using session = await connect(scene)
  const path = `${ROOT}/limited-${scene.turn}`
  const own = `/zookeeper/quota${path}`
  await ok(session.call(create, znode(path)))
  await ok(session.call(create, znode(own)))
  const limits = Buffer.from('count=-1,bytes=-1;byteHardLimit=100;countHardLimit=2')
  await ok(session.call(create, znode(`${own}/zookeeper_limits`, limits)))
  await ok(session.call(create, znode(`${own}/zookeeper_stats`, Buffer.from('count=0,bytes=0'))))
  await ok(session.call(create, znode(`${path}/a`)))
  await fails(ErrorCode.quotaExceeded, session.call(create, znode(`${path}/b`)))
  for (const each of [`${path}/a`, `${own}/zookeeper_limits`, `${own}/zookeeper_stats`, own, path]) {
    await ok(session.call(deleteNode, { path: each, version: ANY_VERSION }))
  }
  await ok(session.call(closeSession, undefined))
}
