import { JuteReader, JuteWriter, OPEN_ACL, OpCode, ProtocolError, type Txn } from '@conclave/protocol'
import { SimulatedDisk } from '@conclave/testing'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BUILT_IN_ID } from '../../src/state/acl-cache.ts'
import { DataTree } from '../../src/state/data-tree.ts'
import { ServerState } from '../../src/state/server-state.ts'
import { writeZnode, ZnodeRecord } from '../../src/state/znode-record.ts'
import { ownerKind, Znode } from '../../src/state/znode.ts'
import { DataFolder, type ZxidFile } from '../../src/storage/data-folder.ts'
import { readSnapshot } from '../../src/storage/snapshot-reader.ts'
import { writeSnapshot } from '../../src/storage/snapshot-writer.ts'
import { describeState, TICK_MS } from '../support/scripted-server.ts'

const SESSION = 0x0100_0000_0000_0001n

/** What a state holds beyond its znodes. */
function describeAll(state: ServerState): unknown {
  const { tree } = state
  const paths = [...tree.walk()].map(([path]) => path)
  return {
    znodes: describeState(state),
    size: tree.size,
    dataBytes: tree.dataBytes,
    below: paths.map(path => `${path} ${tree.countBelow(path)}`).sort(),
    ephemerals: [...(tree.ephemerals.get(SESSION) ?? [])].sort(),
    containers: [...tree.containers].sort(),
    ttls: [...tree.ttls].sort(),
    acls: Array.from(tree.acls.entries(), ({ acl, uses }) => JSON.stringify([acl, uses])).sort(),
  }
}

function execute(state: ServerState, txn: Txn): void {
  const zxid = state.lastZxid + 1
  state.apply({ sessionId: SESSION, cxid: zxid, zxid, timeMs: 1_000_000 + zxid, type: txn.type }, txn)
}

async function snapshotOf(state: ServerState, disk: SimulatedDisk): Promise<ZxidFile> {
  const folder = new DataFolder(disk, 'data')
  await folder.prepare()
  return writeSnapshot(folder, state, { form: 'none', isDurable: async () => {} })
}

async function readBack(
  state: ServerState,
  windowBytes: number,
  countsDigest: boolean,
): Promise<ServerState> {
  const disk = new SimulatedDisk()
  const again = new ServerState(TICK_MS)
  const reading = await readSnapshot(disk, await snapshotOf(state, disk), again, {
    windowBytes,
    countsDigest,
  })
  expect(reading.isExact).toBe(countsDigest)
  if (!countsDigest) again.tree.digest.set(reading.digest!.digest)
  return again
}

/** Few names, so that znodes come, go, and come again; one of them is not ASCII. */
const path = fc
  .array(fc.constantFrom('a', 'b', 'ab', 'é'), { minLength: 1, maxLength: 4 })
  .map(names => `/${names.join('/')}`)
const acl = fc.constantFrom(OPEN_ACL, [{ perms: 1, scheme: 'world', id: 'anyone' }])
const data = fc.option(fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes)))
const change = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ does: fc.constant('create' as const), path, data, acl, kind: fc.nat(6) }),
  },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('delete' as const), path }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('setData' as const), path, data }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('setAcl' as const), path, acl }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('look' as const), path }) },
)
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never

/** The transaction that a server would make of it, if any. */
function txnOf({ tree }: ServerState, change: Change): Txn | undefined {
  const znode = tree.get(change.path)
  const parent = tree.get(change.path.slice(0, change.path.lastIndexOf('/')))
  switch (change.does) {
    case 'create': {
      if (znode !== undefined || parent === undefined || ownerKind(parent.owner) === 'session')
        return undefined
      const { path, data, acl, kind } = change
      const shared = { path, data, acl, parentCversion: parent.cversion + 1 }
      if (kind === 0) return { type: OpCode.createContainer, ...shared }
      if (kind === 1) return { type: OpCode.createTtl, ttlMs: 1_000, ...shared }
      return { type: OpCode.create2, ephemeral: kind === 2, ...shared }
    }
    case 'delete':
      return znode === undefined || znode.childCount > 0
        ? undefined
        : { type: OpCode.delete, path: change.path }
    case 'setData':
      if (znode === undefined) return undefined
      return { type: OpCode.setData, path: change.path, data: change.data, version: znode.version + 1 }
    case 'setAcl':
      if (znode === undefined) return undefined
      return { type: OpCode.setAcl, path: change.path, acl: change.acl, version: znode.aversion + 1 }
    case 'look':
      return undefined
  }
}

test('lazy - a tree that is read back, time and again, is the one that never was away', async () => {
  const stay = fc.record({
    changes: fc.array(change, { minLength: 1, maxLength: 60 }),
    windowBytes: fc.constantFrom(100, 1_000, 1 << 20),
    countsDigest: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(stay, { minLength: 2, maxLength: 5 }), async stays => {
      const original = new ServerState(TICK_MS)
      let other = new ServerState(TICK_MS)
      execute(original, { type: OpCode.createSession, timeoutMs: 30_000 })
      execute(other, { type: OpCode.createSession, timeoutMs: 30_000 })
      for (const { changes, windowBytes, countsDigest } of stays) {
        for (const change of changes) {
          const txn = txnOf(original, change)
          expect(txnOf(other, change)).toEqual(txn)
          if (txn === undefined) continue
          execute(original, txn)
          execute(other, txn)
        }
        expect(describeAll(other)).toEqual(describeAll(original))
        other = await readBack(other, windowBytes, countsDigest)
        expect(describeAll(other)).toEqual(describeAll(original))
      }
    }),
    { numRuns: 150 },
  )
})

test('lazy - a snapshot that has what came while it was written, as Apache writes them, and the log are the tree', () => {
  const stay = fc.record({
    before: fc.array(change, { maxLength: 60 }),
    during: fc.array(change, { minLength: 1, maxLength: 120 }),
    /** How many changes come after each znode that is written. */
    pace: fc.constantFrom(1, 3, 10),
  })
  fc.assert(
    fc.property(stay, ({ before, during, pace }) => {
      const original = new ServerState(TICK_MS)
      const read = new ServerState(TICK_MS)
      for (const change of before) {
        const txn = txnOf(original, change)
        if (txn !== undefined) execute(original, txn)
      }
      read.tree.clear()
      read.tree.digest.forget()
      read.lastZxid = original.lastZxid
      for (const { id, acl } of original.tree.acls.entries()) read.tree.acls.restore(id, acl)
      const log: Txn[] = []
      const writer = new JuteWriter()
      const pending = [...during]
      for (const ref of original.tree.refs()) {
        original.tree.writeRecord(writer, ref, Infinity, Infinity)
        for (const change of pending.splice(0, pace)) {
          const txn = txnOf(original, change)
          if (txn === undefined) continue
          execute(original, txn)
          log.push(txn)
        }
      }
      restoreAll(read.tree, writer)
      for (const txn of log) execute(read, txn)
      read.tree.countDigest()
      expect(describeAll(read)).toEqual(describeAll(original))
    }),
    { numRuns: 500 },
  )
})

test('lazy - what a snapshot knows to be below a znode that the log deletes first comes again by the log', () => {
  const state = new ServerState(TICK_MS)
  state.tree.clear()
  const writer = new JuteWriter()
  for (const path of ['/', '/a', '/a/b', '/a/b/c']) {
    const znode = new Znode(state.tree.acls.builtIn, path === '/' ? 0 : 102, 0, 0n)
    writeZnode(writer, path, znode, Buffer.from('of the snapshot'), BUILT_IN_ID)
  }
  restoreAll(state.tree, writer)
  state.lastZxid = 100
  const shared = { data: Buffer.from('of the log'), acl: OPEN_ACL, ephemeral: false, parentCversion: 1 }
  execute(state, { type: OpCode.delete, path: '/a' })
  expect(state.tree.size).toBe(1)
  for (const path of ['/a', '/a/b']) execute(state, { type: OpCode.create2, path, ...shared })
  expect([...state.tree.get('/a')!.children!]).toEqual(['/a/b'])
  expect(state.tree.dataOf(state.tree.get('/a/b')!)!.toString()).toBe('of the log')
  execute(state, { type: OpCode.delete, path: '/a/b' })
  expect(state.tree.get('/a/b')).toBeUndefined()
  expect(Array.from(state.tree.walk(), ([path]) => path)).toEqual(['/', '/a'])
})

test('lazy - what is asked for, changed and deleted in any order leaves the others as they were', async () => {
  const state = new ServerState(TICK_MS)
  const count = 3_000
  for (let i = 0; i < count; i++) {
    const txn = { path: `/znode-${i}`, data: Buffer.from(`${i}`), acl: OPEN_ACL, ephemeral: false }
    execute(state, { type: OpCode.create2, parentCversion: i + 1, ...txn })
  }
  const again = await readBack(state, 4_096, false)
  // Each number below 3,000 once, far from the one before.
  for (let i = 0, n = 0; i < count; i++, n = (n + 1_109) % count) {
    expect(again.tree.dataOf(again.tree.get(`/znode-${n}`)!)!.toString()).toBe(`${n}`)
    if (i % 3 === 0) execute(again, { type: OpCode.delete, path: `/znode-${n}` })
    const { tree } = again
    if (i % 500 !== 0) continue
    const children = [...tree.get('/')!.children!]
    expect(children).toHaveLength(count + 1 - ((i / 3 + 1) | 0))
    expect(tree.get('/')!.childCount).toBe(children.length)
    expect(new Set(children).size).toBe(children.length)
    expect(tree.size).toBe(children.length + 3)
  }
})

/** Takes in all records that were written. */
function restoreAll(tree: DataTree, writer: JuteWriter): void {
  const reader = new JuteReader(writer.view())
  const record = new ZnodeRecord()
  while (reader.remaining > 0) {
    record.pass(reader)
    tree.restore(record)
  }
  for (const _ of tree.endRestore());
}

/** The tree of a snapshot that has these paths in this order; the root is the empty one. It lists no access list. */
function restored(paths: readonly string[], aclId: number = BUILT_IN_ID): DataTree {
  const tree = new DataTree()
  const writer = new JuteWriter()
  for (const [i, path] of paths.entries()) {
    const znode = new Znode(tree.acls.builtIn, i, 0, 0n)
    writeZnode(writer, path === '' ? '/' : path, znode, Buffer.from(path), aclId)
  }
  tree.clear()
  restoreAll(tree, writer)
  return tree
}

test.each([
  ['as Apache writes them', ['', '/a', '/a/b', '/a/b/c', '/d', '/d/e']],
  ['by their depth', ['', '/a', '/d', '/a/b', '/d/e', '/a/b/c']],
  ['with others in between', ['', '/a', '/a/b', '/d', '/a/b/c', '/d/e']],
])('lazy - a snapshot is read whose znodes come %s', (_, paths) => {
  const tree = restored(paths)
  expect(Array.from(tree.walk(), ([path]) => path).sort()).toEqual(['/', ...paths.slice(1)].sort())
  expect(tree.size).toBe(paths.length)
  for (const path of paths) expect(tree.dataOf(tree.get(path)!)!.toString()).toBe(path)
  expect([...tree.get('/a')!.children!]).toEqual(['/a/b'])
  expect([...tree.get('/')!.children!].sort()).toEqual(['/a', '/d'])
})

test.each([
  [['', '/a', '/a/b', '/a'], '/a comes twice'],
  [['', '/a', '/a/b', '/a/b'], '/a/b comes twice'],
  [['', '/a', '/d', '/a/b', '/a/b'], '/a/b comes twice'],
  [['', '/a', ''], '/ comes twice'],
  [['', '/é', '/é'], '/é comes twice'],
  [['', '/a/b'], '/a/b has no parent'],
  [['/a'], '/a has no parent'],
  [['a'], 'a has no parent'],
  [[], 'there is no root'],
])('lazy - a snapshot is refused that has %j', (paths, message) => {
  expect(() => restored(paths)).toThrow(new ProtocolError(message))
})

test('lazy - names that are none are found, and gone when they are deleted', () => {
  const tree = restored(['', '//x', '//x/y', '/x', '/x/', '/x//', '/zookeeper'])
  expect(Array.from(tree.walk(), ([path]) => path).sort()).toEqual(
    ['/', '//x', '//x/y', '/x', '/x/', '/x//', '/zookeeper'].sort(),
  )
  for (const path of ['//x/y', '//x', '/x//', '/x/', '/x']) {
    expect(tree.dataOf(tree.get(path)!)!.toString()).toBe(path)
    tree.delete(path, 100)
  }
  expect([...tree.get('/')!.children!]).toEqual(['/zookeeper'])
  expect(tree.get('/')!.childCount).toBe(1)
  expect(tree.size).toBe(2)
})

test('lazy - quotas in a tree as deep as anybody likes are found', () => {
  const paths = ['', '/zookeeper', '/zookeeper/quota']
  for (let i = 0; i < 6_000; i++) paths.push(`${paths.at(-1)!}/a`)
  const tree = restored(paths)
  expect(tree.size).toBe(paths.length)
  expect(tree.quotas.count).toBe(0)
})

test('lazy - paths that begin alike are told apart', () => {
  const paths = ['', '/a', '/a/b', '/ab', '/ab/b', '/abb']
  const tree = restored(paths)
  expect(tree.get('/b')).toBeUndefined()
  expect(tree.get('/a/')).toBeUndefined()
  expect(tree.get('/abc')).toBeUndefined()
  for (const path of paths) expect(tree.dataOf(tree.get(path)!)!.toString()).toBe(path)
})

test('lazy - nobody may use a znode whose access list the snapshot lacks, until the log gives it one', () => {
  const tree = restored(['', '/a', '/b'], 7)
  expect(tree.acls.isComplete).toBe(false)
  expect(tree.get('/a')!.acl.acl).toEqual([{ perms: 0, scheme: 'world', id: 'anyone' }])
  // The number that is lacking is not given to another.
  const acl = [{ perms: 3, scheme: 'world', id: 'anyone' }]
  tree.setAcl('/b', acl, 1)
  expect(tree.get('/b')!.acl.id).toBe(8)
  tree.setAcl('/a', acl, 1)
  expect(tree.get('/a')!.acl.acl).toEqual(acl)
  expect([...tree.acls.entries()]).toEqual([{ id: 8, acl, uses: 2 }])
})

test('lazy - numbers of access lists that cannot be are refused', () => {
  expect(() => restored(['', '/a'], 2 ** 52)).toThrow(ProtocolError)
  expect(() => restored(['', '/a'], -2)).toThrow(ProtocolError)
  const { acls } = new DataTree()
  acls.clear()
  acls.restore(5, OPEN_ACL)
  expect(() => acls.restore(5, [])).toThrow(new ProtocolError('access list 5 comes twice'))
})
