import { nodePlatform, silentLogger, type Random } from '@conclave/core'
import { Readable } from 'node:stream'
import { OpCode } from '@conclave/protocol'
import { SimulatedDisk } from '@conclave/testing'
import { expect, test } from 'vitest'
import { receiveSnapshot, replaceTree } from '../../src/restore.ts'
import type { SnapshotForm } from '../../src/storage/compression/snapshot-form.ts'
import { DataFolder } from '../../src/storage/data-folder.ts'
import { recover } from '../../src/storage/recovery.ts'
import { Retention } from '../../src/storage/retention.ts'
import { describeState, ScriptedServer, TICK_MS } from '../support/scripted-server.ts'

function seededRandom(seed: number): Random {
  let state = seed
  return {
    float: () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return state / 0x1_0000_0000
    },
    bytes: length => Buffer.alloc(length, 1),
  }
}

/** The disk as it may be after a power failure, and what had been promised by then. */
interface Crash {
  readonly disk: SimulatedDisk
  readonly acknowledgedZxid: number
  readonly executedZxid: number
  readonly operation: string
}

/** Runs a script, and keeps a crash of the disk before each of its operations. */
async function crashes(
  seed: number,
  form: SnapshotForm,
): Promise<{ crashes: Crash[]; states: Map<number, string[]> }> {
  const random = seededRandom(seed)
  const server = await ScriptedServer.start()
  const retention = new Retention(server.folder, 2, nodePlatform.clock)
  const found: Crash[] = []
  const states = new Map<number, string[]>([[0, describeState(server.state)]])
  server.disk.onOperation = operation => {
    const { acknowledgedZxid } = server
    found.push({
      disk: server.disk.crash(random),
      acknowledgedZxid,
      executedZxid: server.state.lastZxid,
      operation,
    })
  }
  for (let step = 0; step < 30; step++) {
    for (let i = Math.floor(random.float() * 6); i >= 0; i--) {
      server.create(`/znode-${step}-${i}`, 'x'.repeat(Math.floor(random.float() * 700)))
      states.set(server.state.lastZxid, describeState(server.state))
    }
    if (step % 4 === 3) {
      server.execute({ type: OpCode.delete, path: `/znode-${step - 1}-0` })
      states.set(server.state.lastZxid, describeState(server.state))
    }
    if (step % 3 === 0) await server.commit.drain()
    if (step % 7 === 6) {
      await server.commit.roll()
      await server.snapshot(form)
      await retention.purge()
    }
  }
  await server.commit.drain()
  return { crashes: found, states }
}

test.each([
  [1, 'none'],
  [2, 'none'],
  [3, 'none'],
  [4, 'gz'],
  [5, 'gz'],
  [6, 'snappy'],
  [7, 'snappy'],
] as const)(
  'crash - at any moment, what was acknowledged is there and no transaction by halves (seed %i, snapshots %s)',
  async (seed, form) => {
    const { crashes: found, states } = await crashes(seed, form)
    expect(found.length).toBeGreaterThan(80)
    for (const [i, { disk, acknowledgedZxid, executedZxid, operation }] of found.entries()) {
      const about = `crash ${i}, before ${operation}`
      const { state } = await recover(new DataFolder(disk, 'data'), TICK_MS, silentLogger)
      expect(state.lastZxid, about).toBeGreaterThanOrEqual(acknowledgedZxid)
      expect(state.lastZxid, about).toBeLessThanOrEqual(executedZxid)
      expect(describeState(state), about).toEqual(states.get(state.lastZxid))
    }
  },
)

test('crash - a server that goes on after a crash can crash again', async () => {
  const random = seededRandom(99)
  let disk = new SimulatedDisk()
  let acknowledged = 0
  for (let life = 0; life < 12; life++) {
    const server = await ScriptedServer.start(disk)
    expect(server.state.lastZxid).toBeGreaterThanOrEqual(acknowledged)
    for (let i = 0; i < 10; i++) server.create(`/life-${life}-${i}-${server.state.lastZxid}`)
    await server.commit.drain()
    for (let i = 0; i < 5; i++) server.create(`/unheard-${life}-${i}-${server.state.lastZxid}`)
    acknowledged = server.acknowledgedZxid
    disk = server.disk.crash(random)
  }
  expect(acknowledged).toBeGreaterThanOrEqual(120)
})

test('crash - what a killed server had not synced is durable before another one serves it', async () => {
  const random = seededRandom(11)
  const server = await ScriptedServer.start()
  const killed: SimulatedDisk[] = []
  server.disk.onOperation = () => killed.push(server.disk.kill())
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 10; i++) server.create(`/znode-${round}-${i}`, 'x'.repeat(500))
    await server.commit.drain()
    await server.commit.roll()
    await server.snapshot()
  }
  expect(killed.length).toBeGreaterThan(40)
  for (const [i, disk] of killed.entries()) {
    const served = describeState((await ScriptedServer.start(disk)).state)
    for (let power = 0; power < 3; power++) {
      const folder = new DataFolder(disk.crash(random), 'data')
      const { state } = await recover(folder, TICK_MS, silentLogger)
      expect(describeState(state), `killed before operation ${i}`).toEqual(served)
    }
  }
})

test('crash - a disk that fails acknowledges nothing more and is told', async () => {
  const server = await ScriptedServer.start()
  server.create('/before')
  await server.commit.drain()
  server.disk.failure = 'ENOSPC'
  server.create('/after')
  await server.commit.drain()
  expect(server.acknowledgedZxid).toBe(1)
  expect(server.failure).toMatchObject({ code: 'ENOSPC' })
})

test('crash - what a disk refused is not there, though it was the first of a new log and can be read', async () => {
  const server = await ScriptedServer.start()
  for (let i = 0; i < 20; i++) server.create(`/before-${i}`)
  await server.commit.drain()
  await server.commit.roll()
  server.disk.onOperation = operation => {
    // What was written is in the file by then.
    if (operation === `sync ${server.folder.logPath(21)}`) server.disk.failure = 'EIO'
  }
  server.create('/refused')
  await server.commit.drain()
  expect(server.failure).toMatchObject({ code: 'EIO' })
  server.disk.failure = undefined
  await server.log.abandon()
  const { state } = await recover(new DataFolder(server.disk, 'data'), TICK_MS, silentLogger)
  expect(state.tree.get('/before-19')).toBeDefined()
  expect(state.tree.get('/refused')).toBeUndefined()
})

test.each(['none', 'gz', 'snappy'] as const)(
  'crash - while a snapshot is restored, the tree of before is there or the restored one (%s)',
  async form => {
    const random = seededRandom(7)
    const source = await ScriptedServer.start()
    for (let i = 0; i < 100; i++) source.create(`/restored-${i}`, 'x'.repeat(1_000))
    await source.commit.drain()
    const { path } = await source.snapshot(form)
    const server = await ScriptedServer.start()
    for (let i = 0; i < 100; i++) server.create(`/before-${i}`)
    await server.commit.drain()
    await server.log.close()
    const before = describeState(server.state)
    const found: SimulatedDisk[] = []
    server.disk.onOperation = () => {
      // Several, because each leaves something else.
      for (let i = 0; i < 8; i++) found.push(server.disk.crash(random))
    }
    const received = await receiveSnapshot(server.folder, Readable.from([source.disk.bytes(path)]), TICK_MS)
    const zxid = await replaceTree(server.folder, received, server.state.lastZxid, form)
    expect(zxid).toBe(101)
    const after = describeState(received.state)
    expect(found.length).toBeGreaterThan(15)
    const left = new Set<string>()
    for (const disk of found) {
      const folder = new DataFolder(disk, 'data')
      await folder.prepare()
      await folder.removeUnfinished()
      const { state } = await recover(folder, TICK_MS, silentLogger)
      left.add(state.lastZxid === zxid ? 'after' : 'before')
      expect(describeState(state)).toEqual(state.lastZxid === zxid ? after : before)
    }
    expect(left).toEqual(new Set(['before', 'after']))
    // It was answered: from now on it is the restored one, and what comes next follows it.
    const next = await ScriptedServer.start(server.disk.crash(random))
    expect(describeState(next.state)).toEqual(after)
    next.create('/next')
    await next.commit.drain()
    const { state } = await recover(new DataFolder(next.disk.crash(random), 'data'), TICK_MS, silentLogger)
    expect(describeState(state)).toEqual(describeState(next.state))
  },
)
