import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cp, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Endpoint } from '@conclave/core'
import { auth, childPath, exists, getAcl, getChildren, getData } from '@conclave/protocol'
import {
  ApacheZooKeeper,
  EmbeddedServerProcess,
  findZooKeeper,
  fourLetterWord,
  RawSession,
  temporaryFolder,
} from '@conclave/testing'
import { describe, expect, test } from 'vitest'
import { RandomOperations } from './differential/random-operations.ts'

const run = promisify(execFile)
/** Nothing is hidden from it. */
const SUPER_USER = 'super:secret'
const SUPER_DIGEST = `super:${createHash('sha1').update(SUPER_USER).digest('base64')}`
const EMBEDDED = { settings: { 'DigestAuthenticationProvider.superDigest': SUPER_DIGEST } }
const SUPER_PROPERTY = { 'zookeeper.DigestAuthenticationProvider.superDigest': SUPER_DIGEST }
const APACHE = { systemProperties: SUPER_PROPERTY }

const OPERATIONS = 1_500
const SESSIONS = 3

interface Server extends AsyncDisposable {
  readonly endpoint: Endpoint
  readonly dataDir: string
  kill(): Promise<void>
  restart(): Promise<void>
}

/** Writes of every kind from several sessions, which stay open. */
async function fill(server: Server, seed: number): Promise<RawSession[]> {
  const sessions: RawSession[] = []
  for (let i = 0; i < SESSIONS; i++) {
    sessions.push(await RawSession.connect(server.endpoint, { timeoutMs: 40_000 }))
  }
  const operations = new RandomOperations(seed, SESSIONS)
  for (let i = 0; i < OPERATIONS; i++) {
    const { session, operation, request } = operations.next()
    await sessions[session]!.call(operation, request)
  }
  return sessions
}

/** Everything: data, stats and access lists. */
async function dump(server: Server): Promise<string[]> {
  await using session = await RawSession.connect(server.endpoint)
  await session.call(auth, { type: 0, scheme: 'digest', auth: Buffer.from(SUPER_USER) })
  const lines: string[] = []
  const visit = async (path: string): Promise<void> => {
    const data = await session.call(getData, { path, watch: false })
    const stat = await session.call(exists, { path, watch: false })
    const acl = await session.call(getAcl, { path })
    expect([data.errorCode, stat.errorCode, acl.errorCode]).toEqual([0, 0, 0])
    const facts = [data.response?.data, stat.response?.stat, acl.response?.acl]
    lines.push(
      `${path} ${JSON.stringify(facts, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value))}`,
    )
    const names = (await session.call(getChildren, { path, watch: false })).response?.children ?? []
    for (const name of [...names].sort()) await visit(childPath(path, name))
  }
  await visit('/')
  return lines
}

/** Kills a server after many writes, and starts the other engine on a copy of what is in its folder then. */
async function compareAfterMove(
  from: Server,
  seed: number,
  startOn: (dataDir: string) => Promise<Server>,
): Promise<void> {
  const sessions = await fill(from, seed)
  await from.kill()
  await using folder = temporaryFolder()
  const copy = join(folder.path, 'data')
  await cp(join(from.dataDir, 'version-2'), join(copy, 'version-2'), { recursive: true })
  await using to = await startOn(copy)
  await from.restart()
  const before = await dump(from)
  expect(before.length).toBeGreaterThan(20)
  expect(await dump(to)).toEqual(before)
  for (const { granted } of sessions) {
    const { sessionId, password } = granted
    await using moved = await RawSession.connect(to.endpoint, { sessionId, password, timeoutMs: 40_000 })
    expect(moved.sessionId).toBe(sessionId)
  }
}

test('storage - Apache ZooKeeper serves what the embedded server wrote', async () => {
  await using embedded = await EmbeddedServerProcess.start(EMBEDDED)
  await compareAfterMove(embedded, 21, async dataDir => {
    const apache = await ApacheZooKeeper.start({ dataDir, ...APACHE })
    expect(await fourLetterWord(apache.endpoint, 'mntr')).toMatch(/^zk_digest_mismatches_count\t0$/m)
    return apache
  })
})

test('storage - the embedded server serves what Apache ZooKeeper wrote', async () => {
  await using apache = await ApacheZooKeeper.start(APACHE)
  await compareAfterMove(apache, 22, dataDir => EmbeddedServerProcess.start({ dataDir, ...EMBEDDED }))
})

describe.each(['none', 'gz', 'snappy'] as const)('storage - snapshots with compression %s', form => {
  const extension = form === 'none' ? /^snapshot\.[0-9a-f]+$/ : new RegExp(`^snapshot\\..*\\.${form}$`)
  /** What Java is told, because the setting is read before any `zoo.cfg` is. */
  const systemProperties = {
    'zookeeper.snapshot.compression.method': form === 'none' ? '' : form,
    ...SUPER_PROPERTY,
  }

  async function snapshotsIn(dataDir: string): Promise<string[]> {
    const names = await readdir(join(dataDir, 'version-2'))
    return names.filter(name => extension.test(name))
  }

  test('Apache ZooKeeper serves one of the embedded server that was taken under load', async () => {
    await using embedded = await EmbeddedServerProcess.start({
      snapCount: 200,
      snapshotCompression: form,
      ...EMBEDDED,
    })
    await compareAfterMove(embedded, 23, async dataDir => {
      expect((await snapshotsIn(dataDir)).length).toBeGreaterThan(1)
      const apache = await ApacheZooKeeper.start({ dataDir, ...APACHE })
      expect(await fourLetterWord(apache.endpoint, 'mntr')).toMatch(/^zk_digest_mismatches_count\t0$/m)
      return apache
    })
  })

  test('the embedded server serves one of Apache ZooKeeper that was taken under load', async () => {
    await using apache = await ApacheZooKeeper.start({ settings: { snapCount: 200 }, systemProperties })
    await compareAfterMove(apache, 25, async dataDir => {
      expect((await snapshotsIn(dataDir)).length).toBeGreaterThan(1)
      return EmbeddedServerProcess.start({ dataDir, ...EMBEDDED })
    })
  })

  test("Apache's tools read every file of the embedded server", async () => {
    await using embedded = await EmbeddedServerProcess.start({ snapCount: 200, snapshotCompression: form })
    await fill(embedded, 24)
    await embedded.stop()
    const { java, classPath } = findZooKeeper()!
    const folder = join(embedded.dataDir, 'version-2')
    const server = 'org.apache.zookeeper.server'
    expect((await snapshotsIn(embedded.dataDir)).length).toBeGreaterThan(1)
    for (const name of await readdir(folder)) {
      const tool = name.startsWith('log.')
        ? `${server}.persistence.TxnLogToolkit`
        : `${server}.SnapshotFormatter`
      const { stdout } = await run(java, ['-cp', classPath, tool, join(folder, name)], {
        maxBuffer: 64 << 20,
      })
      expect(stdout).not.toMatch(/CRC|corrupt/i)
      expect(stdout).toMatch(name.startsWith('log.') ? /EOF reached after \d+ txns/ : /ZNode Details/)
    }
  })
})
