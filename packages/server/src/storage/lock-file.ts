import {
  codeOf,
  isStillRunning,
  ownIdentity,
  sleep,
  uuid,
  type Platform,
  type ProcessIdentity,
} from '@conclave/core'
import { readFile } from './read-file.ts'
import { DataFolderLockedError } from './storage-errors.ts'

const PREFIX = 'conclave-server.lock.'
const UNFINISHED = '.tmp'

/** How long later starters have to see that this one was first, and to withdraw. */
const LOOKS = 5
const LOOK_MS = 20

type LockPlatform = Pick<Platform, 'clock' | 'disk' | 'random'>

/** A server that has the folder, or is about to take it. */
interface Claim extends ProcessIdentity {
  readonly id: string
  readonly startedAt: string
}

/**
 * Keeps two servers off one data folder. Each makes a file of its own that says who it is, and only then looks for those
 * of others: so of any two at least one sees the other, and no file is ever taken over, renamed or replaced. Of several
 * that start at one time the first goes on, and the others withdraw. The files of dead processes are removed.
 *
 * Whoever shares the folder must share the host and, where there are containers, the container's processes.
 */
export class LockFile {
  readonly #platform: LockPlatform
  readonly #folder: string
  readonly #claim: Claim

  private constructor(platform: LockPlatform, folder: string) {
    this.#platform = platform
    this.#folder = folder
    this.#claim = { ...ownIdentity(), id: uuid(platform.random) }
  }

  /** Throws `DataFolderLockedError` while another one lives. */
  static async acquire(platform: LockPlatform, folder: string): Promise<LockFile> {
    const lock = new LockFile(platform, folder)
    try {
      await lock.#announce()
      await lock.#becomeFirst()
      return lock
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  release(): Promise<void> {
    return this.#remove(this.#claim.id)
  }

  /** Under its name it is complete, whoever looks and whenever. */
  async #announce(): Promise<void> {
    const { disk } = this.#platform
    const path = this.#pathOf(this.#claim.id)
    const temporary = `${path}${UNFINISHED}`
    const file = await disk.open(temporary, 'create')
    try {
      await file.write(Buffer.from(JSON.stringify(this.#claim)), 0)
    } catch (error) {
      await disk.remove(temporary)
      throw error
    } finally {
      await file.close()
    }
    await disk.rename(temporary, path)
  }

  async #becomeFirst(): Promise<void> {
    let others = await this.#readOthers()
    for (let looks = 1; others.length > 0; looks++) {
      const first = others.find(other => isBefore(other, this.#claim))
      if (first !== undefined || looks === LOOKS) {
        const { pid } = first ?? others[0]!
        throw new DataFolderLockedError(`${this.#folder} is in use by the server with process id ${pid}`)
      }
      await sleep(this.#platform.clock, LOOK_MS)
      others = await this.#readOthers()
    }
  }

  async #readOthers(): Promise<Claim[]> {
    const others: Claim[] = []
    for (const name of await this.#platform.disk.list(this.#folder)) {
      const id = name.slice(PREFIX.length)
      if (!name.startsWith(PREFIX) || name.endsWith(UNFINISHED) || id === this.#claim.id) continue
      const other = await this.#read(id)
      if (other !== undefined && isStillRunning(other)) others.push(other)
      else await this.#remove(id)
    }
    return others
  }

  /** `undefined` for one that has just gone, and for one of which a power failure has left the name alone. */
  async #read(id: string): Promise<Claim | undefined> {
    try {
      return JSON.parse((await readFile(this.#platform.disk, this.#pathOf(id))).toString()) as Claim
    } catch (error) {
      if (error instanceof SyntaxError || codeOf(error) === 'ENOENT') return undefined
      throw error
    }
  }

  async #remove(id: string): Promise<void> {
    try {
      await this.#platform.disk.remove(this.#pathOf(id))
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
    }
  }

  #pathOf(id: string): string {
    return `${this.#folder}/${PREFIX}${id}`
  }
}

/** Whoever has the folder came before those that start now, as long as the clock is not set back: then it is slower. */
function isBefore(a: Claim, b: Claim): boolean {
  return a.startedAt < b.startedAt || (a.startedAt === b.startedAt && a.id < b.id)
}
