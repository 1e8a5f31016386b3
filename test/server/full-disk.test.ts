import { execFileSync } from 'node:child_process'
import { mkdtemp, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ZooKeeper, type ZooKeeperError } from '@conclave/client'
import { EmbeddedServerProcess, eventually, leakGuard } from '@conclave/testing'
import { expect, test } from 'vitest'

const DATA = Buffer.alloc(4_000, 'x')
/** Enough for one connection to make a batch for the thread of the log. */
const PIPELINED = 40

/** A folder with a disk of its own, of some megabytes. */
class SmallDisk implements AsyncDisposable {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  static async mount(megabytes: number): Promise<SmallDisk> {
    const path = await mkdtemp(join(tmpdir(), 'conclave-disk-'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path])
    return new SmallDisk(path)
  }

  grow(megabytes: number): void {
    execFileSync('mount', ['-o', `remount,size=${megabytes}m`, this.path])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    execFileSync('umount', [this.path])
    await rmdir(this.path)
  }
}

// Only root can mount.
test.skipIf(process.getuid?.() !== 0)(
  'full disk - what was acknowledged is there, reads go on, and writes when there is room again',
  async () => {
    const assertClean = leakGuard()
    await using disk = await SmallDisk.mount(6)
    await using server = await EmbeddedServerProcess.start({
      dataDir: join(disk.path, 'data'),
      tickTimeMs: 200,
    })
    await using zk = await ZooKeeper.connect(server.connectString, { sessionTimeoutMs: 4_000 })
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

    expect(server.process.stderr).toMatch(/cannot be written.*ENOSPC/)

    const names = async (): Promise<Set<string>> => new Set((await zk.getChildren('/')).children)
    const present = await names()
    expect(acknowledged.filter(path => !present.has(path.slice(1)))).toEqual([])
    await expect(zk.create('/refused')).rejects.toMatchObject({ outcome: 'not-applied' })

    disk.grow(60)
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
