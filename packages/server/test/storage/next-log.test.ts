import { deferred, type DiskFile } from '@conclave/core'
import { SimulatedDisk } from '@conclave/testing'
import { expect, test } from 'vitest'
import { DataFolder } from '../../src/storage/data-folder.ts'
import { RECORD_HEAD_BYTES, RECORD_TAIL_BYTES } from '../../src/storage/record-frame.ts'
import { TxnLog } from '../../src/storage/txn-log.ts'
import { describeState, ScriptedServer } from '../support/scripted-server.ts'

const NEXT_LOG = 'data/version-2/tmp.log'

/** Writes batches of one znode each. */
async function grow(server: ScriptedServer, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    server.create(`/znode-${server.state.lastZxid}`, 'x'.repeat(200))
    await server.commit.drain()
  }
}

/** Of the event loop: as many as a disk takes that holds nothing back. */
async function someTurns({ folder }: ScriptedServer): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await folder.logs()
}

async function logNames(server: ScriptedServer): Promise<string[]> {
  return (await server.folder.logs()).map(({ name }) => name)
}

test('next log - it is filled while the present one grows, and begun when that is full', async () => {
  const server = await ScriptedServer.start()
  await grow(server, 8)
  expect(await server.disk.list('data/version-2')).not.toContain('tmp.log')
  const operations: string[] = []
  server.disk.onOperation = operation => operations.push(operation.replace('data/version-2/', ''))
  await grow(server, 20)
  const ofNext = operations.filter(operation => operation.endsWith('tmp.log'))
  const named = ofNext.indexOf('rename tmp.log')
  expect(ofNext.slice(named - 2, named)).toEqual(['write tmp.log', 'sync tmp.log'])
  expect(await logNames(server)).toHaveLength(2)
  // Its size, and where it lies, were recorded before.
  const second = (await logNames(server))[1]!
  const ofSecond = operations.filter(operation => operation.endsWith(second))
  expect(new Set(ofSecond)).toEqual(new Set([`write ${second}`, `sync ${second}`]))
  expect(await server.reread()).toEqual(describeState(server.state))
  await grow(server, 60)
  expect((await logNames(server)).length).toBeGreaterThan(4)
  expect(await server.reread()).toEqual(describeState(server.state))
  await server.log.close()
  expect(await server.disk.list('data/version-2')).not.toContain('tmp.log')
})

/** A disk on which zeros take their time. */
class HeldDisk extends SimulatedDisk {
  readonly released = deferred()
  isHolding = false

  override async open(...args: Parameters<SimulatedDisk['open']>): Promise<DiskFile> {
    const file = await super.open(...args)
    return {
      ...file,
      write: async (bytes, position) => {
        if (bytes.every(byte => byte === 0)) {
          this.isHolding = true
          await this.released.promise
        }
        await file.write(bytes, position)
      },
    }
  }
}

test('next log - begun while it is being filled, no zeros come over its records', async () => {
  let heldBack = 0
  for (let count = 1; count < 20; count++) {
    const disk = new HeldDisk()
    const server = await ScriptedServer.start(disk)
    await grow(server, count)
    // As it is made for the second batch, the first one may have made a step of filling due.
    server.create('/last-of-the-first')
    const rolled = server.commit.roll()
    await server.commit.drain()
    await someTurns(server)
    server.create('/next')
    const drained = server.commit.drain()
    // Its batch would be on the disk by then if nothing held it back.
    await someTurns(server)
    if (disk.isHolding) heldBack++
    disk.released.resolve()
    await Promise.all([rolled, drained])
    await server.log.close()
    expect(await server.reread(), `after ${count} batches`).toEqual(describeState(server.state))
  }
  expect(heldBack).toBeGreaterThan(0)
})

const LARGE_BYTES = 1 << 20

async function largeLog(disk: SimulatedDisk): Promise<TxnLog> {
  const folder = new DataFolder(disk, 'data')
  await folder.prepare()
  return new TxnLog(folder, { preallocatedBytes: LARGE_BYTES, filledBytes: LARGE_BYTES })
}

function batchOf(bytes: number): Buffer {
  const record = Buffer.alloc(bytes, 1)
  record.writeInt32BE(bytes - RECORD_HEAD_BYTES - RECORD_TAIL_BYTES, RECORD_HEAD_BYTES - 4)
  return record
}

test('next log - of small batches no log is larger than what was filled', async () => {
  for (const batchBytes of [300, 4_000]) {
    const log = await largeLog(new SimulatedDisk())
    let ended = 0
    for (let zxid = 1; ended < 4; zxid++) {
      await log.write(batchOf(batchBytes), zxid)
      expect(log.nextOffset).toBeLessThanOrEqual(LARGE_BYTES)
      if (log.isRolling) ended++
    }
    await log.close()
  }
})

test('next log - with the log closed while more of it is due, nothing is left of it', async () => {
  const disk = new HeldDisk()
  const log = await largeLog(disk)
  for (let zxid = 1; zxid <= 100; zxid++) await log.write(batchOf(4_000), zxid)
  expect(disk.isHolding).toBe(true)
  const closed = log.close()
  disk.released.resolve()
  await closed
  for (let turn = 0; turn < 20; turn++) await disk.list('data/version-2')
  expect(await disk.list('data/version-2')).toEqual(['log.1'])
})

test('next log - a snapshot that rolls while the log does so by itself has one made, and leaves none of one batch', async () => {
  const server = await ScriptedServer.start()
  let begun = 0
  let rolled: Promise<void> | undefined
  server.disk.onOperation = operation => {
    if (operation === `rename ${NEXT_LOG}` && ++begun === 2) rolled = server.commit.roll()
  }
  while (begun < 2) await grow(server, 1)
  await rolled
  server.disk.onOperation = operation => {
    if (operation === `open ${NEXT_LOG}`)
      throw Object.assign(new Error('too many open files'), { code: 'EMFILE' })
  }
  await grow(server, 1)
  expect(server.failure).toBeUndefined()
  server.disk.onOperation = () => {}

  while (!server.log.isRolling) await grow(server, 1)
  const { length } = await logNames(server)
  server.create('/first-of-the-next')
  await server.commit.roll()
  await grow(server, 3)
  expect(await logNames(server)).toHaveLength(length + 1)
  expect(await server.reread()).toEqual(describeState(server.state))
})

test('next log - one whose name cannot be made durable is closed', async () => {
  let opened = 0
  const disk = new (class extends SimulatedDisk {
    override async open(...args: Parameters<SimulatedDisk['open']>): Promise<DiskFile> {
      const file = await super.open(...args)
      opened++
      return { ...file, close: () => (opened--, file.close()) }
    }
  })()
  const server = await ScriptedServer.start(disk)
  await grow(server, 1)
  await server.commit.roll()
  disk.onOperation = operation => {
    if (operation.startsWith('sync folder'))
      throw Object.assign(new Error('input/output error'), { code: 'EIO' })
  }
  await grow(server, 1)
  expect(server.failure).toMatchObject({ code: 'EIO' })
  await server.log.abandon()
  expect(opened).toBe(0)
})

test('next log - where little is free, it is not filled', async () => {
  const server = await ScriptedServer.start()
  server.disk.freeSpaceBytes = 255 << 20
  await grow(server, 40)
  expect(await server.disk.list('data/version-2')).not.toContain('tmp.log')
  expect(await logNames(server)).toEqual(['log.1'])
})

test('next log - where there is no room for its zeros, what it has taken is given back, and all goes on', async () => {
  const server = await ScriptedServer.start()
  let writes = 0
  server.disk.onOperation = operation => {
    // The headers of two files come before.
    if (operation !== `write ${NEXT_LOG}` || writes++ < 2) return
    throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
  }
  await grow(server, 40)
  expect(writes).toBe(3)
  expect(server.failure).toBeUndefined()
  expect(await server.disk.list('data/version-2')).not.toContain('tmp.log')
  expect(await logNames(server)).toEqual(['log.1'])
  // Nor for the header of the one that a snapshot asks for.
  await expect(server.commit.roll()).rejects.toThrow('no space left')
  expect(await server.disk.list('data/version-2')).not.toContain('tmp.log')
  server.disk.onOperation = () => {}
  await server.commit.roll()
  await grow(server, 40)
  // From the next one on it is tried again.
  expect((await logNames(server)).length).toBeGreaterThan(2)
  expect(await server.reread()).toEqual(describeState(server.state))
})
