import { create, OPEN_ACL } from '@conclave/protocol'
import { EmbeddedServer, followLog, inspectLog, type LoggedTransaction } from '@conclave/server'
import { eventually, RawSession, temporaryFolder } from '@conclave/testing'
import { rm } from 'node:fs/promises'
import { expect, test } from 'vitest'

async function createAll(server: EmbeddedServer, paths: readonly string[]): Promise<void> {
  await using session = await RawSession.connect(server.endpoint)
  for (const path of paths)
    await session.call(create, { path, data: Buffer.from(path), acl: OPEN_ACL, flags: 0 })
}

const paths = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`)

test('follow log - what was written, what is written, over files and restarts, each once', async () => {
  await using folder = temporaryFolder()
  // Nothing is purged: a follower that is slower than that misses what is gone.
  const options = { dataDir: folder.path, port: 0, snapCount: 10, snapRetainCount: 100 }
  let server = await EmbeddedServer.start(options)
  await createAll(server, paths('/before-', 5))
  const stop = new AbortController()
  const seen: LoggedTransaction[] = []
  const following = followLog(folder.path, transaction => void seen.push(transaction), {
    signal: stop.signal,
    pollMs: 1,
  })
  const created = (): string[] => seen.flatMap(({ change }) => change.path ?? [])
  const all = [...paths('/before-', 5), ...paths('/during-', 25), ...paths('/after-', 5)]
  await eventually(() => created().length === 5, { what: 'what was there' })
  await createAll(server, paths('/during-', 25))
  await eventually(() => created().length === 30, { what: 'what was added' })
  await server.close()
  server = await EmbeddedServer.start(options)
  await createAll(server, paths('/after-', 5))
  await eventually(() => created().length === 35, { what: 'what came after the restart' })
  stop.abort()
  await following
  expect(created()).toEqual(all)
  const zxids = seen.map(({ zxid }) => Number(zxid))
  expect(zxids).toEqual(zxids.map((_, i) => i + 1))
  await server.close()
})

test('follow log - a folder without a log is waited for', async () => {
  await using folder = temporaryFolder()
  const stop = new AbortController()
  const seen: LoggedTransaction[] = []
  const following = followLog(folder.path, transaction => void seen.push(transaction), {
    signal: stop.signal,
    pollMs: 1,
    withData: true,
  })
  const server = await EmbeddedServer.start({ dataDir: folder.path, port: 0 })
  await createAll(server, ['/a'])
  await eventually(() => seen.length === 2, { what: 'the first transactions' })
  expect(seen[1]!.change).toMatchObject({ path: '/a', data: Buffer.from('/a').toString('base64') })
  stop.abort()
  await following
  await server.close()
  const whole: LoggedTransaction[] = []
  await inspectLog(folder.path, transaction => void whole.push(transaction), { withData: true })
  expect(whole).toEqual(seen)
})

test('follow log - a folder that goes ends it, one that never was is waited for', async () => {
  await using folder = temporaryFolder()
  const dataDir = `${folder.path}/data`
  const stop = new AbortController()
  const seen: LoggedTransaction[] = []
  const following = followLog(dataDir, transaction => void seen.push(transaction), {
    signal: stop.signal,
    pollMs: 1,
  })
  const gone = expect(following).rejects.toMatchObject({
    code: 'DATA_FOLDER_GONE',
    message: `the data folder ${dataDir} is there no more`,
  })
  const server = await EmbeddedServer.start({ dataDir, port: 0 })
  await createAll(server, ['/a'])
  await eventually(() => seen.length === 2, { what: 'the first transactions' })
  await server.close()
  await rm(dataDir, { recursive: true })
  await gone
})
