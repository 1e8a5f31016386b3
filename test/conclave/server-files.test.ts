import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ZooKeeper } from '@conclave/client'
import {
  ApacheZooKeeper,
  EmbeddedServerProcess,
  eventually,
  TemporaryFolder,
  TestProcess,
} from '@conclave/testing'
import type { SnapshotForm } from '@conclave/server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const program = fileURLToPath(new URL('../../packages/conclave/dist/bin.js', import.meta.url))

function conclave(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' })
}

function ndjson(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Record<string, unknown>)
}

/** Starts a server that, with a form, takes a snapshot of that form whenever it can; its first logs may be gone by then. */
type Start = (dataDir: string, form?: SnapshotForm) => Promise<EmbeddedServerProcess | ApacheZooKeeper>

const startEmbedded: Start = (dataDir, form) =>
  EmbeddedServerProcess.start({
    dataDir,
    ...(form === undefined ? {} : { snapCount: 1, snapshotCompression: form }),
  })

const startApache: Start = (dataDir, form = 'none') =>
  ApacheZooKeeper.start({
    dataDir,
    systemProperties: { 'zookeeper.snapshot.compression.method': form },
  })

describe.each([
  ['embedded server', startEmbedded],
  ['Apache ZooKeeper', startApache],
] as const)('files of the %s', (_name, start) => {
  const folder = new TemporaryFolder()
  const logged = join(folder.path, 'logged')

  async function fill(dataDir: string, form?: SnapshotForm): Promise<void> {
    await using server = await start(dataDir, form)
    const zk = await ZooKeeper.connect(server.connectString)
    await zk.create('/a', 'secret')
    await zk.create('/a/e', null, { mode: 'ephemeral' })
    await zk.multi([
      { op: 'setData', path: '/a', data: 'later' },
      { op: 'create', path: '/b' },
    ])
    await zk.close()
    // A second life begins, or goes on, with a snapshot of the first.
    await server.kill()
    await server.restart()
    const next = await ZooKeeper.connect(server.connectString)
    await next.setData('/b', 'b')
    await next.close()
    await server.stop()
  }

  beforeAll(() => fill(logged))
  afterAll(() => folder.remove())

  test('log - every transaction, with what it changed and who asked for it', () => {
    const { status, stdout } = conclave('log', '--json', logged)
    expect(status).toBe(0)
    const changes = ndjson(stdout).map(({ change }) => change)
    expect(changes).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ type: 'createSession', timeoutMs: 10_000 }),
        expect.objectContaining({ path: '/a', dataLength: 6 }),
        expect.objectContaining({ path: '/a/e', ephemeral: true }),
        expect.objectContaining({
          type: 'multi',
          changes: [
            expect.objectContaining({ type: 'setData', path: '/a', version: 1 }),
            expect.objectContaining({ path: '/b' }),
          ],
        }),
        expect.objectContaining({ type: 'closeSession' }),
      ]),
    )
    expect(stdout).not.toContain(Buffer.from('secret').toString('base64'))
    const text = conclave('log', logged).stdout
    expect(text).toMatch(/^0x2 .* \/a 6 bytes$/m)
    const withData = conclave('log', '--json', '--with-data', logged).stdout
    expect(withData).toContain(Buffer.from('secret').toString('base64'))
  })

  test.each(['none', 'gz', 'snappy'] as const)('snapshot - every znode, with its stat (%s)', async form => {
    const snapshotted = join(folder.path, form)
    await fill(snapshotted, form)
    const { status, stdout } = conclave('snapshot', '--json', snapshotted)
    expect(status).toBe(0)
    const [head, ...znodes] = ndjson(stdout)
    expect(head).toMatchObject({
      path: expect.stringMatching(form === 'none' ? /\/snapshot\.\w+$/ : new RegExp(`\\.${form}$`)),
      zxid: expect.stringMatching(/^0x[5-9]$/),
    })
    expect(new Set(znodes.map(({ path }) => path))).toEqual(
      new Set(['/', '/a', '/b', '/zookeeper', '/zookeeper/config', '/zookeeper/quota']),
    )
    expect(znodes.find(({ path }) => path === '/a')).toMatchObject({ dataLength: 5, version: 1, cversion: 2 })
    expect(conclave('snapshot', snapshotted).stdout).toMatch(/^\/a {2}5 bytes {2}version 1 /m)
  })
})

describe.each([
  ['embedded server', EmbeddedServerProcess],
  ['Apache ZooKeeper', ApacheZooKeeper],
] as const)('log --follow on the %s', (_name, Server) => {
  test('log - what is there and what comes, through restarts, each line at once, until Ctrl-C', async () => {
    await using folder = new TemporaryFolder()
    const dataDir = join(folder.path, 'data')
    await using server = await Server.start({ dataDir })
    const create = async (path: string): Promise<void> => {
      await using zk = await ZooKeeper.connect(server.connectString)
      await zk.create(path)
    }
    await create('/before')
    const follower = new TestProcess(process.execPath, [program, 'log', '-f', '--json', dataDir])
    const paths = (): unknown[] =>
      ndjson(follower.stdout).flatMap(({ change }) => (change as { path?: string }).path ?? [])
    await eventually(() => paths().length === 1, { what: 'what was there' })
    await create('/while')
    await eventually(() => paths().length === 2, { what: 'what was added' })
    await server.stop()
    await server.restart()
    await create('/after')
    await eventually(() => paths().length === 3, { what: 'what is in the next file' })
    expect(paths()).toEqual(['/before', '/while', '/after'])
    const zxids = ndjson(follower.stdout).map(({ zxid }) => Number(zxid))
    expect(zxids).toEqual([...new Set(zxids)].sort((a, b) => a - b))
    follower.signal('SIGINT')
    expect(await follower.ended).toEqual({ code: 0, signal: null })
    expect(follower.stderr).toBe('')
  })
})

describe('log --follow', () => {
  const folder = new TemporaryFolder()
  const dataDir = join(folder.path, 'data')
  afterAll(() => folder.remove())

  test('a folder without a log - is waited for; once it has gone, that is the end', async () => {
    mkdirSync(dataDir)
    const follower = new TestProcess(process.execPath, [program, 'log', '--follow', dataDir])
    await eventually(() => follower.stderr.includes('waiting for one'))
    const server = await EmbeddedServerProcess.start({ dataDir })
    const zk = await ZooKeeper.connect(server.connectString)
    await zk.create('/a')
    await zk.close()
    await eventually(() => follower.stdout.includes(' /a '))
    await server.stop()
    rmSync(dataDir, { recursive: true })
    expect(await follower.ended).toEqual({ code: 1, signal: null })
    expect(follower.stderr.trimEnd().split('\n')).toEqual([
      `There is no log in ${dataDir} yet: waiting for one.`,
      `conclave: the data folder ${dataDir} is there no more`,
    ])
  })

  test('a reader that has enough - ends without a word of it', async () => {
    await using server = await EmbeddedServerProcess.start()
    await using zk = await ZooKeeper.connect(server.connectString)
    const script = '"$0" "$1" log -f "$2" | head -n 1; echo "ended with ${PIPESTATUS[0]}"'
    const args = ['-c', script, process.execPath, program, server.dataDir]
    const follower = new TestProcess('bash', args)
    let count = 0
    await eventually(async () => {
      await zk.create(`/n${count++}`)
      return follower.stdout.includes('ended with 0')
    })
    expect(follower.stderr).toBe('')
  })

  test.each([
    ['no such folder', 'none'],
    ['a file', 'file'],
  ])('%s - one sentence that names it', (_what, name) => {
    writeFileSync(join(folder.path, 'file'), 'x')
    const { status, stderr } = conclave('log', '-f', join(folder.path, name))
    expect(status).toBe(2)
    expect(stderr).toBe(
      `conclave: ${join(folder.path, name)} is no folder: --follow takes a data folder of ZooKeeper\n`,
    )
  })
})

describe('files that are none', () => {
  const folder = new TemporaryFolder()
  afterAll(() => folder.remove())

  test.each([
    ['no such folder', 'none', 'there is no log in'],
    ['a file', 'file', 'is a file; name a folder'],
    ['no such log', 'log.1', 'cannot read'],
    ['a log that is none', 'log.2', 'it does not begin with ZKLG'],
  ])('%s - one sentence that names it', (_what, name, sentence) => {
    writeFileSync(join(folder.path, 'file'), 'x')
    writeFileSync(join(folder.path, 'log.2'), 'x'.repeat(100))
    const { status, stdout, stderr } = conclave('log', join(folder.path, name))
    expect(status).not.toBe(0)
    expect(stdout).toBe('')
    expect(stderr.trimEnd().split('\n')).toEqual([expect.stringContaining(sentence)])
    expect(stderr).toContain(join(folder.path, name))
  })

  test('a torn log - what is whole is shown, and where it ends', async () => {
    const dataDir = join(folder.path, 'torn')
    await using server = await EmbeddedServerProcess.start({ dataDir })
    const zk = await ZooKeeper.connect(server.connectString)
    await zk.create('/whole')
    await zk.create('/torn')
    await zk.detach()
    await server.kill()
    const log = join(dataDir, 'version-2', 'log.1')
    const before = ndjson(conclave('log', '--json', log).stdout)
    truncateSync(log, (before.at(-1)!['offset'] as number) + 20)
    const { status, stdout, stderr } = conclave('log', '--json', log)
    expect(status).toBe(0)
    expect(ndjson(stdout)).toEqual(before.slice(0, -1))
    expect(stderr).toContain(`torn end behind offset ${before.at(-1)!['offset'] as number}`)
  })
})
