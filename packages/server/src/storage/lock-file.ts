import {
  codeOf,
  isStillRunning,
  ownIdentity,
  sleep,
  uuid,
  type Disk,
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
    const { disk } = this.#platform
    const others: Claim[] = []
    for (const id of await claimIds(disk, this.#folder)) {
      if (id === this.#claim.id) continue
      const other = await readClaim(disk, this.#pathOf(id))
      if (other !== undefined && isStillRunning(other)) others.push(other)
      else await this.#remove(id)
    }
    return others
  }

  async #remove(id: string): Promise<void> {
    try {
      await this.#platform.disk.remove(this.#pathOf(id))
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
    }
  }

  #pathOf(id: string): string {
    return pathOf(this.#folder, id)
  }
}

/**
 * The live process that has a data folder, or is about to take it, or has not quite left it; `undefined` where there is
 * none, or no folder. To look changes nothing.
 */
export async function lockHolder(disk: Disk, folder: string): Promise<ProcessIdentity | undefined> {
  const claims: Claim[] = []
  for (const id of await claimIds(disk, folder)) {
    const claim = await readClaim(disk, pathOf(folder, id))
    if (claim !== undefined && isStillRunning(claim)) claims.push(claim)
  }
  return claims.find(claim => claims.every(other => other === claim || isBefore(claim, other)))
}

async function claimIds(disk: Disk, folder: string): Promise<string[]> {
  const names = await disk.list(folder).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  })
  return names
    .filter(name => name.startsWith(PREFIX) && !name.endsWith(UNFINISHED))
    .map(name => name.slice(PREFIX.length))
}

/** `undefined` for one that has just gone, and for one of which a power failure has left the name alone. */
async function readClaim(disk: Disk, path: string): Promise<Claim | undefined> {
  try {
    return JSON.parse((await readFile(disk, path)).toString()) as Claim
  } catch (error) {
    if (error instanceof SyntaxError || codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function pathOf(folder: string, id: string): string {
  return `${folder}/${PREFIX}${id}`
}

/** Whoever has the folder came before those that start now, as long as the clock is not set back: then it is slower. */
function isBefore(a: Claim, b: Claim): boolean {
  return a.startedAt < b.startedAt || (a.startedAt === b.startedAt && a.id < b.id)
}
