import { codeOf, sleep, type Clock, type Disk } from '@conclave/core'
import { readFile } from './read-file.ts'
import { DataFolderLockedError } from './storage-errors.ts'

/** What the lock says of its holder. */
interface Holder {
  readonly pid: number
  readonly startedAt: string
}

/**
 * Keeps two servers off one data folder: a file made exclusively, with the holder's process id. The lock of a process
 * that died is taken over.
 */
export class LockFile {
  readonly #disk: Disk
  readonly #path: string

  private constructor(disk: Disk, path: string) {
    this.#disk = disk
    this.#path = path
  }

  /** Throws `DataFolderLockedError` while the holder lives. */
  static async acquire(disk: Disk, clock: Clock, folder: string): Promise<LockFile> {
    const path = `${folder}/conclave-server.lock`
    const startedAt = new Date(clock.wallMs()).toISOString()
    for (let attempt = 0; attempt < 5; attempt++) {
      if (await create(disk, path, { pid: process.pid, startedAt })) return new LockFile(disk, path)
      const holder = await readHolder(disk, path)
      if (holder !== undefined && isAlive(holder, clock.wallMs())) {
        throw new DataFolderLockedError(`${folder} is in use by the server with process id ${holder.pid}`)
      }
      // Unreadable: it is just being written, unless it stays so.
      if (holder === undefined && attempt < 3) await sleep(clock, 20)
      else await remove(disk, path)
    }
    throw new DataFolderLockedError(`${folder} is being taken by another server`)
  }

  async release(): Promise<void> {
    await remove(this.#disk, this.#path)
  }
}

async function create(disk: Disk, path: string, holder: Holder): Promise<boolean> {
  try {
    const file = await disk.open(path, 'create')
    await file.write(Buffer.from(JSON.stringify(holder)), 0)
    await file.close()
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

async function readHolder(disk: Disk, path: string): Promise<Holder | undefined> {
  try {
    return JSON.parse((await readFile(disk, path)).toString()) as Holder
  } catch {
    return undefined
  }
}

async function remove(disk: Disk, path: string): Promise<void> {
  try {
    await disk.remove(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
}

function isAlive({ pid, startedAt }: Holder, wallMs: number): boolean {
  // In a container every start may have the same process id.
  if (pid === process.pid) return Date.parse(startedAt) >= wallMs - process.uptime() * 1000
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}
