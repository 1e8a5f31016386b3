import { silentLogger } from '@conclave/core'
import { FILE_VERSION, FileHeader, JuteWriter, LOG_MAGIC, OpCode } from '@conclave/protocol'
import { SimulatedDisk } from '@conclave/testing'
import { expect, test } from 'vitest'
import { adler32 } from '../../src/storage/checksum/adler32.ts'
import { DataFolder } from '../../src/storage/data-folder.ts'
import { sealRecords } from '../../src/storage/record-frame.ts'
import { recover } from '../../src/storage/recovery.ts'
import { CorruptDataError } from '../../src/storage/storage-errors.ts'
import { writeRecord } from '../../src/storage/txn-record.ts'
import { describeState, ScriptedServer, TICK_MS } from '../support/scripted-server.ts'

const BATCHES = 4
const RECORDS_PER_BATCH = 3

/** A log of several batches, where each record ends, and where the last batch begins. */
async function writtenLog(): Promise<{ bytes: Buffer; snapshot: Buffer; ends: number[]; lastBatch: number }> {
  const server = await ScriptedServer.start()
  let lastBatch = 0
  for (let batch = 0; batch < BATCHES; batch++) {
    lastBatch = server.log.nextOffset
    for (let i = 0; i < RECORDS_PER_BATCH; i++) server.create(`/znode-${batch}-${i}`)
    await server.commit.drain()
  }
  const bytes = Buffer.from(server.disk.bytes('data/version-2/log.1').subarray(0, server.log.nextOffset))
  const ends: number[] = []
  for (let at = 16; at < bytes.length;) {
    at += 13 + bytes.readInt32BE(at + 8)
    ends.push(at)
  }
  return { bytes, snapshot: server.disk.bytes('data/version-2/snapshot.0'), ends, lastBatch }
}

async function recoveredZxid(snapshot: Buffer, log: Buffer): Promise<number> {
  const disk = new SimulatedDisk()
  await disk.makeFolder('data/version-2')
  disk.put('data/version-2/snapshot.0', snapshot)
  disk.put('data/version-2/log.1', log)
  const { state } = await recover(new DataFolder(disk, 'data'), TICK_MS, silentLogger)
  for (let zxid = 1; zxid <= state.lastZxid; zxid++) {
    const at = zxid - 1
    const path = `/znode-${Math.floor(at / RECORDS_PER_BATCH)}-${at % RECORDS_PER_BATCH}`
    expect(state.tree.get(path)?.czxid).toBe(zxid)
  }
  return state.lastZxid
}

test('log - cut at any byte, it gives back every whole record before', async () => {
  const { bytes, snapshot, ends } = await writtenLog()
  for (let length = 0; length <= bytes.length; length++) {
    const whole = ends.filter(end => end <= length).length
    expect(await recoveredZxid(snapshot, bytes.subarray(0, length)), `cut at ${length}`).toBe(whole)
    // The header is on disk before any record is written.
    if (length < 16) continue
    const padded = Buffer.concat([bytes.subarray(0, length), Buffer.alloc(600)])
    // A zero may be what was cut off.
    expect(await recoveredZxid(snapshot, padded), `zeros from ${length}`).toBeGreaterThanOrEqual(whole)
  }
})

test('log - a damaged byte in what was acknowledged is refused with file and offset, never served around', async () => {
  const { bytes, snapshot, ends, lastBatch } = await writtenLog()
  for (let at = 16; at < bytes.length; at++) {
    const damaged = Buffer.from(bytes)
    damaged[at]! ^= 0x5a
    const before = ends.filter(end => end <= at).length
    if (at >= lastBatch) {
      // Nothing shows whether the last batch was ever acknowledged.
      expect(await recoveredZxid(snapshot, damaged), `damaged at ${at}`).toBe(before)
      continue
    }
    const start = before === 0 ? 16 : ends[before - 1]!
    const failure = await recoveredZxid(snapshot, damaged).catch((error: unknown) => error)
    expect(failure, `damaged at ${at}`).toBeInstanceOf(CorruptDataError)
    expect((failure as Error).message).toContain(`data/version-2/log.1 is corrupt at offset ${start}:`)
  }
})

test('log - a torn end is cut off, so that the next server and Apache ZooKeeper find a clean one', async () => {
  const { bytes, snapshot, ends } = await writtenLog()
  const disk = new SimulatedDisk()
  await disk.makeFolder('data/version-2')
  disk.put('data/version-2/snapshot.0', snapshot)
  disk.put('data/version-2/log.1', Buffer.concat([bytes.subarray(0, ends[4]! + 7), Buffer.alloc(100)]))
  await recover(new DataFolder(disk, 'data'), TICK_MS, silentLogger)
  expect(disk.bytes('data/version-2/log.1')).toHaveLength(ends[4]!)
})

test('log - the next one is made ready while the present one goes on, so that to begin it takes no more than a name', async () => {
  const server = await ScriptedServer.start()
  server.create('/first')
  await server.commit.drain()
  const operations: string[] = []
  server.disk.onOperation = operation => operations.push(operation.replace('data/version-2/', ''))
  const rolled = server.commit.roll()
  server.create('/meanwhile')
  await server.commit.drain()
  await rolled
  expect(operations).toContain('open tmp.log')
  expect((await server.folder.logs()).map(({ name }) => name)).toEqual(['log.1'])
  operations.length = 0
  server.create('/next')
  await server.commit.drain()
  expect(operations).toContain('rename tmp.log')
  expect(operations).not.toContain('open tmp.log')
  expect((await server.folder.logs()).map(({ name }) => name)).toEqual(['log.1', 'log.3'])
  expect(await server.reread()).toEqual(describeState(server.state))
  await server.commit.roll()
  await server.log.close()
  expect(await server.disk.list('data/version-2')).not.toContain('tmp.log')
})

test('log - a log that is missing between two others is refused', async () => {
  const server = await ScriptedServer.start()
  for (let file = 0; file < 3; file++) {
    server.create(`/first-${file}`)
    server.create(`/second-${file}`)
    await server.commit.drain()
    await server.commit.roll()
  }
  await server.disk.remove('data/version-2/log.3')
  await expect(recover(server.folder, TICK_MS, silentLogger)).rejects.toThrow(
    /log\.5 is corrupt at offset 16: zxid 0x5 follows 0x2/,
  )
})

test('log - one of Apache ZooKeeper may begin with an error that has the zxid of the last transaction of the one before', async () => {
  const server = await ScriptedServer.start()
  server.create('/a')
  await server.snapshot()
  server.create('/b')
  await server.commit.drain()
  const { folder, state } = server
  const writer = new JuteWriter(1024)
  FileHeader.write(writer, { magic: LOG_MAGIC, version: FILE_VERSION, dbId: 0n })
  const start = writer.length
  const header = { sessionId: 1n, cxid: 1, timeMs: 1_000 }
  const error = { type: OpCode.error, errorCode: -8 } as const
  writeRecord(writer, { ...header, zxid: 2, type: OpCode.error }, error, state.tree.digest, 0)
  const records = writer.view().subarray(start)
  sealRecords(records, (from, to) => adler32(records, from, to))
  server.disk.put(folder.logPath(2), writer.copy())
  expect(await server.reread()).toEqual(describeState(state))
})

test('log - without the snapshot that its first record builds on, it is refused', async () => {
  const server = await ScriptedServer.start()
  server.create('/a')
  await server.commit.drain()
  await server.snapshot()
  await server.commit.roll()
  server.create('/b')
  await server.commit.drain()
  for (const name of ['log.1', 'snapshot.0', 'snapshot.1']) await server.disk.remove(`data/version-2/${name}`)
  await expect(recover(server.folder, TICK_MS, silentLogger)).rejects.toThrow(CorruptDataError)
})
