import { nodePlatform, silentLogger } from '@conclave/core'
import { OpCode } from '@conclave/protocol'
import { SimulatedDisk } from '@conclave/testing'
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { LatencyStats } from '../../src/admin/server-stats.ts'
import { Snapshots } from '../../src/snapshots.ts'
import { ServerState } from '../../src/state/server-state.ts'
import { DataFolder } from '../../src/storage/data-folder.ts'
import { readSnapshot } from '../../src/storage/snapshot-reader.ts'
import { CorruptDataError } from '../../src/storage/storage-errors.ts'
import { describeState, ScriptedServer, TICK_MS } from '../support/scripted-server.ts'

const FORMS = ['none', 'gz', 'snappy'] as const

test.each(FORMS)('snapshot - read back, it is the state (%s)', async form => {
  const server = await ScriptedServer.start()
  server.execute({ type: OpCode.createSession, timeoutMs: 30_000 })
  for (let i = 0; i < 50; i++) server.create(`/znode-${i}`)
  server.execute({
    type: OpCode.setAcl,
    path: '/znode-1',
    acl: [{ perms: 1, scheme: 'ip', id: '10.0.0.1' }],
    version: 1,
  })
  server.execute({
    type: OpCode.createContainer,
    path: '/box',
    data: null,
    acl: [{ perms: 31, scheme: 'world', id: 'anyone' }],
    parentCversion: 51,
  })
  server.execute({
    type: OpCode.create,
    path: '/mine',
    data: null,
    acl: [{ perms: 31, scheme: 'world', id: 'anyone' }],
    ephemeral: true,
    parentCversion: 52,
  })
  await server.commit.drain()
  const written = await server.snapshot(form)
  const { zxid } = written
  await server.disk.remove('data/version-2/log.1')
  expect(zxid).toBe(server.state.lastZxid)
  const reading = await readSnapshot(server.disk, written, new ServerState(TICK_MS))
  expect(reading).toMatchObject({ lastZxid: zxid, isExact: true })
  expect(await server.reread()).toEqual(describeState(server.state))
})

test.each(FORMS.flatMap(form => [[form, 'made'] as const, [form, 'read back'] as const]))(
  'snapshot - taken while the tree changes under it, the log makes good the difference (%s, %s)',
  async (form, origin) => {
    let server = await ScriptedServer.start()
    for (let i = 0; i < 600; i++) server.create(`/old-${i}`, 'x'.repeat(1_000))
    await server.commit.drain()
    if (origin === 'read back') {
      await server.snapshot()
      server = await ScriptedServer.start(server.disk)
    }
    await server.commit.roll()
    const taken = server.snapshot(form)
    let changes = 0
    let done = false
    void taken.then(() => (done = true))
    while (!done) {
      const i = (changes++ * 241) % 600
      if (server.state.tree.get(`/old-${i}`) !== undefined)
        server.execute({ type: OpCode.delete, path: `/old-${i}` })
      server.create(`/new-${changes}`)
      server.create(`/new-${changes}/below`)
      // A path that goes and comes back is met twice.
      if (changes % 2 === 0) {
        server.execute({ type: OpCode.delete, path: `/new-${changes}/below` })
        server.execute({ type: OpCode.delete, path: `/new-${changes}` })
        server.create(`/new-${changes}`)
      }
      server.execute({
        type: OpCode.setAcl,
        path: `/new-${changes}`,
        acl: [{ perms: changes % 31, scheme: 'world', id: 'anyone' }],
        version: 1,
      })
      await new Promise(resolve => setImmediate(resolve))
    }
    expect(changes).toBeGreaterThan(5)
    await server.commit.drain()
    expect(await server.reread()).toEqual(describeState(server.state))
  },
)

test('digest - after a start it is what the snapshot says, and each change of what was read keeps it right', async () => {
  const server = await ScriptedServer.start()
  for (let i = 0; i < 5; i++) server.create(`/znode-${i}`)
  await server.commit.drain()
  await server.snapshot()
  const again = await ScriptedServer.start(server.disk)
  const { tree } = again.state
  expect(tree.get('/znode-0')!.digest).toBeUndefined()
  again.create('/znode-0/below')
  again.execute({ type: OpCode.setData, path: '/znode-1', data: Buffer.from('other'), version: 1 })
  again.execute({ type: OpCode.setAcl, path: '/znode-2', acl: [], version: 1 })
  again.execute({ type: OpCode.delete, path: '/znode-3' })
  const { value } = tree.digest
  tree.countDigest()
  expect(value).toBe(tree.digest.value)
})

test.each(FORMS)('snapshot - one that is damaged is passed over for the one before it (%s)', async form => {
  const server = await ScriptedServer.start()
  server.create('/a')
  await server.commit.drain()
  await server.snapshot()
  server.create('/b')
  await server.commit.drain()
  await server.snapshot(form)
  const path = server.folder.snapshotPath(2, form)
  const bytes = Buffer.from(server.disk.bytes(path))
  for (let at = 0; at < bytes.length; at++) {
    const damaged = Buffer.from(bytes)
    damaged[at]! ^= 0x41
    server.disk.put(path, damaged)
    expect(await server.reread(), `damaged at ${at}`).toEqual(describeState(server.state))
  }
  for (let length = 0; length < bytes.length; length++) {
    server.disk.put(path, bytes.subarray(0, length))
    expect(await server.reread(), `cut at ${length}`).toEqual(describeState(server.state))
  }
})

test.each(FORMS)('snapshot - larger than what is in memory at a time, it is read back (%s)', async form => {
  const server = await ScriptedServer.start()
  server.create('/large', 'x'.repeat(5 << 20))
  for (let i = 0; i < 5_000; i++) server.create(`/znode-${i}`, 'x'.repeat(900 + (i % 100)))
  await server.commit.drain()
  await server.snapshot(form)
  await server.disk.remove('data/version-2/log.1')
  expect(await server.reread()).toEqual(describeState(server.state))
})

test('snapshot - of the logs only those are read that hold what comes after it', async () => {
  const server = await ScriptedServer.start()
  for (const path of ['/a', '/b']) {
    server.create(path)
    await server.commit.drain()
    await server.commit.roll()
    await server.snapshot()
  }
  server.create('/c')
  await server.commit.drain()
  const opened: string[] = []
  server.disk.onOperation = operation => {
    if (operation.startsWith('open ')) opened.push(operation.slice(operation.lastIndexOf('/') + 1))
  }
  expect(await server.reread()).toEqual(describeState(server.state))
  expect([...new Set(opened)]).toEqual(['snapshot.2', 'log.3'])
})

test('snapshot - of two of one zxid the one that is not compressed is read, and the other where it is damaged', async () => {
  const server = await ScriptedServer.start()
  server.create('/a')
  await server.commit.drain()
  for (const form of ['snappy', 'none', 'gz'] as const) await server.snapshot(form)
  const snapshots = await server.folder.snapshots()
  expect(snapshots.map(({ name }) => name).slice(1)).toEqual([
    'snapshot.1.snappy',
    'snapshot.1.gz',
    'snapshot.1',
  ])
  for (const { path } of snapshots.toReversed()) {
    expect(await server.reread()).toEqual(describeState(server.state))
    server.disk.put(path, Buffer.from('damaged'))
  }
})

const whole = new Map<string, Buffer>()

beforeAll(async () => {
  const server = await ScriptedServer.start()
  for (let i = 0; i < 20; i++) server.create(`/znode-${i}`, 'x'.repeat(i * 10))
  await server.commit.drain()
  for (const form of FORMS) {
    await server.snapshot(form)
    whole.set(form, Buffer.from(server.disk.bytes(server.folder.snapshotPath(20, form))))
  }
})

test.each(FORMS)('snapshot - whatever its bytes, it is read or said to be corrupt (%s)', async form => {
  const bytes = whole.get(form)!
  const byte = fc.integer({ min: 0, max: bytes.length - 1 })
  const changed = fc.array(fc.tuple(byte, fc.nat(0xff)), { minLength: 1, maxLength: 8 }).map(changes => {
    const copy = Buffer.from(bytes)
    for (const [at, value] of changes) copy[at] = value
    return copy
  })
  const begun = fc
    .tuple(byte, fc.uint8Array({ maxLength: 200 }))
    .map(([length, rest]) => Buffer.concat([bytes.subarray(0, length), rest]))
  await fc.assert(
    fc.asyncProperty(fc.oneof(changed, begun, fc.uint8Array({ maxLength: 200 })), async damaged => {
      const disk = new SimulatedDisk()
      const path = new DataFolder(disk, 'data').snapshotPath(20, form)
      disk.put(path, damaged)
      const reading = readSnapshot(disk, { name: path, path, zxid: 20 }, new ServerState(TICK_MS))
      const error: unknown = await reading.then(
        () => undefined,
        (failure: unknown) => failure,
      )
      if (error !== undefined) expect(error).toBeInstanceOf(CorruptDataError)
    }),
    { numRuns: 400 },
  )
})

test('snapshot - an exact one needs no log, whatever happens while it is taken', async () => {
  const server = await ScriptedServer.start()
  for (let i = 0; i < 600; i++) server.create(`/old-${i}`, 'x'.repeat(1_000))
  const states = new Map<number, string[]>()
  const snapshots = new Snapshots(server.folder, server.state, server.commit, {
    every: Infinity,
    keep: 3,
    form: 'none',
    since: 0,
    logger: silentLogger,
    clock: nodePlatform.clock,
    time: new LatencyStats(),
  })
  const [first, second] = await Promise.all([
    whileChanging(server, states, () => snapshots.takeExact()),
    snapshots.takeExact(),
  ])
  for (const file of [first, second]) {
    const state = new ServerState(TICK_MS)
    expect(await readSnapshot(server.disk, file, state)).toMatchObject({ lastZxid: file.zxid, isExact: true })
    expect(describeState(state)).toEqual(states.get(file.zxid))
  }
  expect(first.zxid).not.toBe(600)
})

/** Changes znodes that are there, their access lists too, as long as it takes. */
async function whileChanging<T>(
  server: ScriptedServer,
  states: Map<number, string[]>,
  action: () => Promise<T>,
): Promise<T> {
  let done = false
  const result = action().finally(() => (done = true))
  for (let changes = 0; !done; changes++) {
    server.execute({
      type: OpCode.setAcl,
      path: `/old-${(changes * 7) % 600}`,
      acl: [{ perms: 1 + (changes % 31), scheme: 'world', id: 'anyone' }],
      version: 1 + changes,
    })
    states.set(server.state.lastZxid, describeState(server.state))
    await new Promise(resolve => setImmediate(resolve))
  }
  return result
}
