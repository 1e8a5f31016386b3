import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ZooKeeper, type ZooKeeperError } from '@conclave/client'
import { EmbeddedServerProcess, eventually, leakGuard } from '@conclave/testing'
import { expect, test } from 'vitest'

const DATA = Buffer.alloc(4_000, 'x')
/** Enough for one connection to make a batch for the thread of the log. */
const PIPELINED = 40

/** What ends before all is written, and can be widened. */
interface Limit extends AsyncDisposable {
  /** Where there is a disk of its own. */
  readonly folder: string
  /** Sets the limit of a server that runs. */
  begin(pid: number): void
  lift(pid: number): void
}

/** A disk of some megabytes. Only root can mount one. */
async function smallDisk(): Promise<Limit> {
  const folder = await mkdtemp(join(tmpdir(), 'conclave-disk-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', folder])
  return {
    folder,
    begin() {},
    lift: () => void execFileSync('mount', ['-o', 'remount,size=60m', folder]),
    async [Symbol.asyncDispose]() {
      execFileSync('umount', [folder])
      await rmdir(folder)
    },
  }
}

/** No file of the server may grow beyond some megabytes, which anybody can say of their own processes. */
async function smallFiles(): Promise<Limit> {
  const folder = await mkdtemp(join(tmpdir(), 'conclave-disk-'))
  const limit = (pid: number, bytes: string): void =>
    void execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`])
  return {
    folder,
    begin: pid => limit(pid, String(3 << 20)),
    lift: pid => limit(pid, 'unlimited'),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  }
}

const LIMITS = [
  { name: 'small files', limited: smallFiles, code: 'EFBIG' },
  ...(process.getuid?.() === 0 ? [{ name: 'a small disk', limited: smallDisk, code: 'ENOSPC' }] : []),
]

test.each(LIMITS)(
  'full disk - what was acknowledged is there, reads go on, and writes when there is room again ($name)',
  async ({ limited, code }) => {
    const assertClean = leakGuard()
    await using limit = await limited()
    await using server = await EmbeddedServerProcess.start({
      dataDir: join(limit.folder, 'data'),
      tickTimeMs: 200,
    })
    await using zk = await ZooKeeper.connect(server.connectString, { sessionTimeoutMs: 4_000 })
    // The log is there by now, and as long as it is made at first.
    limit.begin(server.pid)
    const acknowledged: string[] = []
    const failures: ZooKeeperError[] = []
    let made = 0
    const write = async (): Promise<void> => {
      while (failures.length === 0) {
        const path = `/znode-${made++}`
        try {
          await zk.create(path, DATA)
          acknowledged.push(path)
        } catch (error) {
          failures.push(error as ZooKeeperError)
        }
      }
    }
    await Promise.all(Array.from({ length: PIPELINED }, write))
    expect(acknowledged.length).toBeGreaterThan(500)

    expect(server.process.stderr).toMatch(new RegExp(`cannot be written.*${code}`))

    const names = async (): Promise<Set<string>> => new Set((await zk.getChildren('/')).children)
    const present = await names()
    expect(acknowledged.filter(path => !present.has(path.slice(1)))).toEqual([])
    await expect(zk.create('/refused')).rejects.toMatchObject({ outcome: 'not-applied' })

    limit.lift(server.pid)
    await eventually(async () => {
      try {
        await zk.create('/later')
        return true
      } catch {
        return false
      }
    })
    // A new log, and a new thread for it.
    await Promise.all(Array.from({ length: PIPELINED }, (_, i) => zk.create(`/later-${i}`, DATA)))
    await server.kill()
    await server.restart()
    const after = await eventually(names)
    const expected = [
      ...acknowledged,
      '/later',
      ...Array.from({ length: PIPELINED }, (_, i) => `/later-${i}`),
    ]
    expect(expected.filter(path => !after.has(path.slice(1)))).toEqual([])
    await zk.close()
    await server.stop()
    await assertClean()
  },
)
