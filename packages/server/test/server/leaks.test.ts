import { nodeNetwork, nodePlatform, silentLogger } from '@conclave/core'
import {
  addWatch,
  AddWatchMode,
  auth,
  closeSession,
  create,
  createContainer,
  createTtl,
  deleteNode,
  exists,
  getChildren,
  getData,
  multi,
  OPEN_ACL,
  removeWatches,
  sasl,
  setAcl,
  setData,
  WatcherType,
} from '@conclave/protocol'
import { eventually, RawSession, settle, SimulatedDisk, VirtualClock } from '@conclave/testing'
import { expect, test } from 'vitest'
import { ClientConnection } from '../../src/net/client-connection.ts'
import { openCore, type ServerCore } from '../../src/server-core.ts'
import { resolveOptions } from '../../src/server-options.ts'
import { DataFolder } from '../../src/storage/data-folder.ts'

const ROUNDS = 125
/** At one time. */
const VISITORS = 8
const TTL_MS = 1_000
const SNAPSHOTS_KEPT = 3

/** How much the server remembers, part by part. */
function sizesOf({ state, pipeline, commit }: ServerCore): Record<string, number> {
  const { tree, sessions } = state
  const { dataWatches, childWatches } = tree
  return {
    znodes: tree.size,
    dataBytes: tree.dataBytes,
    accessLists: tree.acls.size,
    owners: tree.ephemerals.size,
    containers: tree.containers.size,
    ttls: tree.ttls.size,
    quotas: tree.quotas.count,
    watches: dataWatches.count + childWatches.count,
    watchedPaths: dataWatches.pathCount + childWatches.pathCount,
    watchers: dataWatches.watcherCount + childWatches.watcherCount,
    sessions: sessions.sessions.size,
    expiries: sessions.nextExpiryMs === Infinity ? 0 : 1,
    connections: pipeline.clients.size,
    attached: pipeline.attachedCount,
    sessionless: pipeline.sessionlessCount,
    waitingForDisk: pipeline.waitingCount,
    unwritten: commit.appended - commit.durable,
  }
}

const znode = (path: string, data: Buffer | null = null) => ({ path, data, acl: OPEN_ACL, flags: 0 })

/** Leaves something in every part of the server, and takes back what has no end of its own. */
async function doEverything(session: RawSession, turn: number): Promise<void> {
  const own = `/own-${turn}`
  const limited = `/zookeeper/quota${own}`
  const acl = [{ perms: 31, scheme: 'digest', id: `user-${turn}:x` }, ...OPEN_ACL]
  const all = [
    session.call(auth, { type: 0, scheme: 'digest', auth: Buffer.from(`user-${turn}:secret`) }),
    session.call(sasl, { token: null }),
    session.call(exists, { path: own, watch: true }),
    session.call(create, znode(own, Buffer.alloc(turn % 2_000))),
    session.call(setAcl, { path: own, acl, version: -1 }),
    session.call(create, { ...znode(`${own}/ephemeral`), flags: 1 }),
    session.call(create, { ...znode(`${own}-sequential-`), acl, flags: 3 }),
    session.call(exists, { path: `${own}/missing`, watch: true }),
    session.call(getData, { path: own, watch: true }),
    session.call(getChildren, { path: own, watch: true }),
    session.call(addWatch, { path: own, mode: AddWatchMode.persistent }),
    session.call(addWatch, { path: '/', mode: AddWatchMode.persistentRecursive }),
    session.call(setData, { path: own, data: Buffer.alloc(10), version: -1 }),
    session.call(removeWatches, { path: own, type: WatcherType.any }),
    session.call(create, znode(limited)),
    session.call(create, znode(`${limited}/zookeeper_limits`, Buffer.from('count=5,bytes=-1'))),
    session.call(create, znode(`${limited}/zookeeper_stats`, Buffer.from('count=0,bytes=0'))),
    session.call(createContainer, { ...znode(`/container-${turn}`), flags: 4 }),
    session.call(create, znode(`/container-${turn}/a`)),
    session.call(createTtl, { ...znode(`/ttl-${turn}`), flags: 5, ttlMs: TTL_MS }),
    session.call(multi, { ops: [{ op: 'create', ...znode(`${own}/b`) }] }),
    session.call(multi, {
      ops: [
        { op: 'create', ...znode(`${own}/c`) },
        { op: 'check', path: own, version: 99 },
      ],
    }),
    ...[
      `${own}/b`,
      `${own}/ephemeral`,
      `${limited}/zookeeper_limits`,
      `${limited}/zookeeper_stats`,
      limited,
      own,
      `/container-${turn}/a`,
    ].map(path => session.call(deleteNode, { path, version: -1 })),
  ]
  const codes = (await Promise.all(all)).map(({ errorCode }) => errorCode)
  // But for the znodes that were not there, nothing failed.
  expect(codes.filter(code => code !== 0)).toEqual([-101, -101])
}

/** How a session can end. */
const ENDINGS: readonly ((session: RawSession, core: ServerCore) => Promise<unknown>)[] = [
  session => session.call(closeSession, undefined),
  session => session.close(),
  session => Promise.resolve(session.sendBytes(Buffer.from([0xff, 0xff, 0xff, 0xff]))),
  (session, { pipeline }) => Promise.resolve(pipeline.expireSession(session.sessionId)),
  session => {
    // Nobody is there any more to take the answers.
    void session.call(getData, { path: '/', watch: true }).catch(() => {})
    return session.close()
  },
]

test('leaks - after a thousand sessions that did everything, the server remembers as little as before', async () => {
  const clock = new VirtualClock()
  const folder = new DataFolder(new SimulatedDisk(), 'data')
  await folder.prepare()
  const settings = resolveOptions({
    dataDir: 'data',
    snapCount: 5_000,
    snapRetainCount: SNAPSHOTS_KEPT,
    preAllocBytes: 64 << 10,
    sasl: { users: { a: 'secret' } },
  })
  const core = await openCore(folder, settings, {
    platform: { ...nodePlatform, clock },
    logger: silentLogger,
    owner: {
      onSessionsConnected() {},
      onFailure: expect.unreachable,
      clientPort: () => 0,
      securePort: () => -1,
    },
    auditLog: undefined,
    isWritable: true,
  })
  const { pipeline } = core
  const listener = await nodeNetwork.listen({ host: '127.0.0.1', port: 0 }, connection =>
    pipeline.add(new ClientConnection(connection, pipeline, clock.wallMs())),
  )
  const { endpoint } = listener
  const before = sizesOf(core)

  const visit = async (turn: number): Promise<void> => {
    let session = await RawSession.connect(endpoint)
    if (turn % 3 === 0) {
      // It goes on with another connection.
      const { sessionId, password } = session.granted
      session = await RawSession.connect(endpoint, { sessionId, password })
    }
    await doEverything(session, turn)
    await ENDINGS[turn % ENDINGS.length]!(session, core)
    await session.close()
  }
  for (let round = 0; round < ROUNDS; round++) {
    await Promise.all(Array.from({ length: VISITORS }, (_, i) => visit(round * VISITORS + i)))
  }
  await eventually(() => pipeline.clients.size === 0)
  await clock.advance(settings.maxSessionTimeoutMs)
  pipeline.expireSessions()
  pipeline.removeUnused(Infinity)
  await core.commit.drain()
  await settle()

  expect(sizesOf(core)).toEqual(before)
  expect(core.state.lastZxid).toBeGreaterThan(ROUNDS * VISITORS * 20)
  await core.snapshots.end()
  expect(await folder.snapshots()).toHaveLength(SNAPSHOTS_KEPT)
  expect((await folder.logs()).length).toBeLessThanOrEqual(SNAPSHOTS_KEPT + 1)
  await listener.close()
})
