import { nodePlatform } from '@conclave/core'
import { expect, test } from 'vitest'
import { inspectLog, readTreeAt } from '../../src/index.ts'
import { asidePath } from '../../src/storage/data-folder.ts'
import { Retention } from '../../src/storage/retention.ts'
import { describeState, ScriptedServer } from '../support/scripted-server.ts'

const FORMS = ['none', 'gz', 'snappy'] as const

/** Each after a transaction in a log of its own. */
async function takeSnapshots(server: ScriptedServer, count: number, data?: string): Promise<void> {
  for (let i = 0; i < count; i++) {
    server.create(`/znode-${server.state.lastZxid}`, data)
    await server.commit.drain()
    await server.commit.roll()
    await server.snapshot(FORMS[i % FORMS.length])
  }
}

function retentionOf({ folder }: ScriptedServer, keep: number): Retention {
  return new Retention(folder, keep, nodePlatform.clock)
}

async function namesOf({ disk, folder }: ScriptedServer): Promise<string[]> {
  return [...(await disk.list(folder.versionPath))].sort()
}

test('retention - keeps the newest snapshots and the logs since the oldest of them', async () => {
  const server = await ScriptedServer.start()
  await takeSnapshots(server, 6)
  await retentionOf(server, 3).purge()
  const kept = (await server.folder.snapshots()).map(({ name }) => name)
  expect(kept).toEqual(['snapshot.4', 'snapshot.5.gz', 'snapshot.6.snappy'])
  expect((await server.folder.logs()).map(({ zxid }) => zxid)).toEqual([4, 5, 6])
  expect(await server.reread()).toEqual(describeState(server.state))
})

/** A snapshot after each hundred transactions, which take several logs. */
async function writeManyLogs(server: ScriptedServer): Promise<void> {
  for (let snapshot = 0; snapshot < 4; snapshot++) {
    for (let i = 0; i < 100; i++) {
      server.create(`/znode-${server.state.lastZxid}`, 'x'.repeat(200))
      await server.commit.drain()
    }
    await server.commit.roll()
    await server.snapshot()
  }
}

test('retention - who reads logs one after the other has until the next purge, though all are set aside at once', async () => {
  const server = await ScriptedServer.start()
  const { disk, folder } = server
  const retention = retentionOf(server, 3)
  await writeManyLogs(server)
  let purged: Promise<void> | undefined
  let count = 0
  await inspectLog(
    'data',
    () => {
      count++
      purged ??= retention.purge()
    },
    { disk },
  )
  expect(count).toBe(400)
  await purged
  const before = await folder.logs()

  await writeManyLogs(server)
  const [oldest] = await folder.snapshots()
  const open = disk.open.bind(disk)
  disk.open = (path, mode) => {
    if (path === oldest!.path) purged = retention.purge()
    return open(path, mode)
  }
  expect((await readTreeAt('data', oldest!.zxid + 90, { disk })).zxid).toBe(oldest!.zxid + 90)
  await purged
  expect((await folder.logs()).length).toBeLessThan(before.length * 2)
})

test('retention - who reads a file when it is set aside has until the next purge; then it is cut down in pieces', async () => {
  const server = await ScriptedServer.start()
  const { disk, folder } = server
  const retention = retentionOf(server, 1)
  await takeSnapshots(server, 1, 'x'.repeat(10 << 20))
  await takeSnapshots(server, 1)
  const [log] = await folder.logs()
  const contents = disk.bytes(log!.path)
  const reader = await disk.open(log!.path, 'existing')
  await retention.purge()
  expect(await folder.logs()).toHaveLength(1)
  const read = Buffer.alloc(contents.length)
  await reader.read(read, 0)
  expect(read.equals(contents)).toBe(true)

  const sizes: number[] = []
  disk.onOperation = operation => {
    if (operation !== `truncate ${asidePath(log!)}`) return
    void reader.sizeBytes().then(bytes => sizes.push(bytes))
  }
  await takeSnapshots(server, 1)
  await retention.purge()
  expect(sizes).toEqual([contents.length - (4 << 20), contents.length - (8 << 20)])
  const aside = (await namesOf(server)).filter(name => name.startsWith('tmp.'))
  expect(aside).toEqual(['tmp.log', 'tmp.removed.log.2', 'tmp.removed.snapshot.2'])
})

test('retention - at the end it removes what is aside as a whole, and does not wait out a pause', async () => {
  const server = await ScriptedServer.start()
  const stopped = { ...nodePlatform.clock, setTimer: () => ({ cancel: () => {} }) }
  const retention = new Retention(server.folder, 1, stopped)
  await takeSnapshots(server, 1, 'x'.repeat(20 << 20))
  await takeSnapshots(server, 1)
  await retention.purge()
  await takeSnapshots(server, 1)
  let truncations = 0
  const begun = new Promise<void>(resolve => {
    server.disk.onOperation = operation => {
      if (operation.startsWith('truncate') && operation.includes('removed')) truncations++
      if (truncations === 1) resolve()
    }
  })
  const purged = retention.purge()
  await begun
  await retention.end()
  await purged
  await retention.end()
  expect(truncations).toBe(1)
  expect((await namesOf(server)).filter(name => name.includes('removed'))).toEqual([])
})

test('retention - what is held stays as it is until it is let go', async () => {
  const server = await ScriptedServer.start()
  const retention = retentionOf(server, 1)
  await takeSnapshots(server, 1)
  const held = (await server.folder.snapshots()).at(-1)!
  const release = retention.hold(held)
  const releaseOther = retention.hold(held)
  releaseOther()
  releaseOther()
  for (let i = 0; i < 3; i++) {
    await takeSnapshots(server, 1)
    await retention.purge()
  }
  expect((await server.folder.snapshots()).map(({ name }) => name)).toEqual([held.name, 'snapshot.4'])
  release()
  await retention.purge()
  expect((await server.folder.snapshots()).map(({ name }) => name)).toEqual(['snapshot.4'])
})

test('retention - what a disk does not let go is tried again, and what others have removed is gone', async () => {
  const server = await ScriptedServer.start()
  const { disk, folder } = server
  const retention = retentionOf(server, 1)
  const removed = async (): Promise<string[]> =>
    (await namesOf(server)).filter(name => name.includes('removed'))
  await takeSnapshots(server, 1, 'x'.repeat(10 << 20))
  await takeSnapshots(server, 1)
  await retention.purge()
  expect(await removed()).toEqual(['tmp.removed.log.1', 'tmp.removed.snapshot.0', 'tmp.removed.snapshot.1'])
  await disk.remove(`${folder.versionPath}/tmp.removed.snapshot.0`)
  disk.failure = 'EIO'
  await expect(retention.purge()).rejects.toThrow('EIO')
  expect(await removed()).toEqual(['tmp.removed.log.1', 'tmp.removed.snapshot.1'])
  disk.failure = undefined
  await retention.purge()
  expect(await removed()).toEqual([])
})

test('retention - what is aside when the server dies goes at the next start', async () => {
  const server = await ScriptedServer.start()
  await takeSnapshots(server, 3)
  await retentionOf(server, 1).purge()
  await ScriptedServer.start(server.disk)
  expect((await namesOf(server)).filter(name => name.startsWith('tmp.'))).toEqual([])
})
