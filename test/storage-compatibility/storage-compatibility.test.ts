import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { cp, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Endpoint } from '@conclave/core'
import {
  ApacheZooKeeper,
  EmbeddedServerProcess,
  findZooKeeper,
  fourLetterWord,
  RawSession,
  temporaryFolder,
} from '@conclave/testing'
import { describe, expect, test } from 'vitest'
import { RandomOperations } from '../differential/random-operations.ts'
import { compareTrees } from './compare-trees.ts'
import { populate, SESSION_TIMEOUT_MS } from './population.ts'

/** Nothing is hidden from it. */
const SUPER_USER = 'super:secret'
const SUPER_DIGEST = `super:${createHash('sha1').update(SUPER_USER).digest('base64')}`
const EMBEDDED = { settings: { 'DigestAuthenticationProvider.superDigest': SUPER_DIGEST } }
const SUPER_PROPERTY = { 'zookeeper.DigestAuthenticationProvider.superDigest': SUPER_DIGEST }
/** What a million znodes may need. */
const JAVA_OPTIONS = ['-Xmx3g']
const APACHE = { systemProperties: SUPER_PROPERTY, javaOptions: JAVA_OPTIONS }

const OPERATIONS = 1_500
const SESSIONS = 3

/** `npm run test:scale` says how many. */
const ZNODES = Number(process.env['CONCLAVE_ZNODES'] ?? 3_000)
const SCALE_SESSIONS = Number(process.env['CONCLAVE_SESSIONS'] ?? 70)

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

/** What a server tells of its tree's digest after each 128 transactions. */
async function digestsOf({ endpoint }: Server): Promise<readonly string[]> {
  return (await fourLetterWord(endpoint, 'hash')).split('\n').slice(0, -1)
}

/**
 * Kills a server whose clients are still connected, starts the other engine on a copy of what is in its folder then, and
 * compares. Resolves to how many znodes there are.
 */
async function compareAfterMove(
  from: Server,
  sessions: readonly RawSession[],
  startOn: (dataDir: string) => Promise<Server>,
): Promise<number> {
  const digests = await digestsOf(from)
  expect(digests.length).toBeGreaterThan(0)
  await from.kill()
  await using folder = temporaryFolder()
  const copy = join(folder.path, 'data')
  await cp(join(from.dataDir, 'version-2'), join(copy, 'version-2'), { recursive: true })
  await using to = await startOn(copy)
  await from.restart()
  // Of what it has read again: nothing before its snapshot, and of some snapshots not even what follows.
  expect(digests).toEqual(expect.arrayContaining([...(await digestsOf(to))]))
  const znodes = await compareTrees([from.endpoint, to.endpoint], SUPER_USER)
  for (const { granted } of sessions) {
    const { sessionId, password } = granted
    await using moved = await RawSession.connect(to.endpoint, { sessionId, password, timeoutMs: 40_000 })
    expect(moved.sessionId).toBe(sessionId)
  }
  return znodes
}

type Settings = Readonly<Record<string, string | number>>

/** Apache ZooKeeper on that folder; it must have found every digest in the log right. */
async function startApache(dataDir: string, settings: Settings = {}): Promise<Server> {
  const apache = await ApacheZooKeeper.start({ dataDir, settings, ...APACHE })
  expect(await fourLetterWord(apache.endpoint, 'mntr')).toMatch(/^zk_digest_mismatches_count\t0$/m)
  return apache
}

function startEmbedded(dataDir: string, settings: Settings = {}): Promise<Server> {
  return EmbeddedServerProcess.start({ dataDir, settings: { ...EMBEDDED.settings, ...settings } })
}

/** Lets Apache's own tools read all files of a folder. */
async function readWithTools(dataDir: string): Promise<void> {
  const { java, classPath } = findZooKeeper()!
  const folder = join(dataDir, 'version-2')
  const server = 'org.apache.zookeeper.server'
  for (const name of await readdir(folder)) {
    if (name.startsWith('tmp.')) continue
    const isLog = name.startsWith('log.')
    const tool = isLog ? `${server}.persistence.TxnLogToolkit` : `${server}.SnapshotFormatter`
    const child = spawn(java, ['-cp', classPath, tool, join(folder, name)], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const ended = once(child, 'close')
    let isWhole = false
    for await (const line of createInterface(child.stdout)) {
      if (/CRC|corrupt/i.test(line)) expect.fail(`${tool} says of ${name}: ${line}`)
      isWhole ||= isLog ? /^EOF reached after \d+ txns/.test(line) : line.startsWith('ZNode Details')
    }
    expect([name, await ended, isWhole]).toEqual([name, [0, null], true])
  }
}

test('storage - Apache ZooKeeper serves what the embedded server wrote', async () => {
  await using embedded = await EmbeddedServerProcess.start(EMBEDDED)
  const sessions = await fill(embedded, 21)
  expect(await compareAfterMove(embedded, sessions, startApache)).toBeGreaterThan(20)
})

test('storage - the embedded server serves what Apache ZooKeeper wrote', async () => {
  await using apache = await ApacheZooKeeper.start(APACHE)
  const sessions = await fill(apache, 22)
  expect(await compareAfterMove(apache, sessions, startEmbedded)).toBeGreaterThan(20)
})

describe(
  `storage - ${ZNODES} znodes and ${SCALE_SESSIONS} sessions`,
  { timeout: 120_000 + ZNODES * 2 },
  () => {
    const settings = { maxClientCnxns: 0, snapCount: 100_000, maxSessionTimeout: SESSION_TIMEOUT_MS }

    test("Apache ZooKeeper serves what the embedded server wrote, and Apache's tools read it", async () => {
      await using embedded = await EmbeddedServerProcess.start({
        settings: { ...EMBEDDED.settings, ...settings },
      })
      const sessions = await populate(embedded.endpoint, ZNODES, SCALE_SESSIONS)
      const startOther = async (dataDir: string): Promise<Server> => {
        await readWithTools(dataDir)
        return startApache(dataDir, settings)
      }
      expect(await compareAfterMove(embedded, sessions, startOther)).toBeGreaterThan(ZNODES * 0.9)
    })

    test('the embedded server serves what Apache ZooKeeper wrote', async () => {
      await using apache = await ApacheZooKeeper.start({ ...APACHE, settings })
      const sessions = await populate(apache.endpoint, ZNODES, SCALE_SESSIONS)
      const startOther = (dataDir: string): Promise<Server> => startEmbedded(dataDir, settings)
      expect(await compareAfterMove(apache, sessions, startOther)).toBeGreaterThan(ZNODES * 0.9)
    })
  },
)

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
    await compareAfterMove(embedded, await fill(embedded, 23), async dataDir => {
      expect((await snapshotsIn(dataDir)).length).toBeGreaterThan(1)
      return startApache(dataDir)
    })
  })

  test('the embedded server serves one of Apache ZooKeeper that was taken under load', async () => {
    await using apache = await ApacheZooKeeper.start({ settings: { snapCount: 200 }, systemProperties })
    await compareAfterMove(apache, await fill(apache, 25), async dataDir => {
      expect((await snapshotsIn(dataDir)).length).toBeGreaterThan(1)
      return startEmbedded(dataDir)
    })
  })

  test("Apache's tools read every file of the embedded server", async () => {
    await using embedded = await EmbeddedServerProcess.start({ snapCount: 200, snapshotCompression: form })
    await fill(embedded, 24)
    await embedded.stop()
    expect((await snapshotsIn(embedded.dataDir)).length).toBeGreaterThan(1)
    await readWithTools(embedded.dataDir)
  })
})
