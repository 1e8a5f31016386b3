import { codeOf, sleep, type Clock } from '@conclave/core'
import { asidePath, type DataFolder, type ZxidFile } from './data-folder.ts'

/** A file system may stop every sync for as long as it frees a file: so much of it takes about two milliseconds. */
const PIECE_BYTES = 4 << 20
/** Between two pieces, so that most of the time is the log's. */
const PAUSE_MS = 8

/**
 * Removes what no recovery needs: all but the newest snapshots, and the logs that end before the oldest of them begins.
 * (Apache's `PurgeTxnLog`) A file is first set aside, where nobody finds it any more; whoever is reading it then, such as a
 * backup, has until the next purge to come to its end. Then it is cut down piece by piece, beside the work of the log.
 */
export class Retention {
  readonly #folder: DataFolder
  readonly #keep: number
  readonly #clock: Clock
  readonly #hurry = new AbortController()
  /** Paths of what waits for its removal. A crash leaves it to the next start, with what else is unfinished. */
  #aside: readonly string[] = []
  /** What is read, once for each reader. */
  readonly #held = new Set<{ readonly path: string }>()

  /** Keeps so many snapshots. */
  constructor(folder: DataFolder, keep: number, clock: Clock) {
    this.#folder = folder
    this.#keep = keep
    this.#clock = clock
  }

  /** Leaves a file where it is, as a whole, until the function that this returns is called. */
  hold({ path }: ZxidFile): () => void {
    const held = { path }
    this.#held.add(held)
    return () => void this.#held.delete(held)
  }

  /** Rejects with what the disk refused first; all that it did not refuse is done then. */
  async purge(): Promise<void> {
    const before = this.#aside
    await this.#setAside()
    await this.#removeAll(before)
  }

  /** Removes at once what was set aside. For the end: from now on nobody waits for the log. */
  async end(): Promise<void> {
    this.#hurry.abort()
    await this.#removeAll(this.#aside)
  }

  async #setAside(): Promise<void> {
    for (const file of await this.#unneeded()) {
      const aside = asidePath(file)
      await this.#folder.disk.rename(file.path, aside)
      this.#aside = [...this.#aside, aside]
    }
    // A power failure must not give a file that was cut down its name again.
    if (this.#aside.length > 0) await this.#folder.sync()
  }

  async #unneeded(): Promise<ZxidFile[]> {
    const snapshots = await this.#folder.snapshots()
    const oldestKept = snapshots.at(-this.#keep)
    if (oldestKept === undefined) return []
    const logs = await this.#folder.logs()
    const firstNeeded = logs.findLastIndex(({ zxid }) => zxid <= oldestKept.zxid)
    const unneeded = [...snapshots.slice(0, -this.#keep), ...logs.slice(0, Math.max(0, firstNeeded))]
    const held = new Set([...this.#held].map(({ path }) => path))
    return unneeded.filter(({ path }) => !held.has(path))
  }

  async #removeAll(paths: readonly string[]): Promise<void> {
    const refused: unknown[] = []
    for (const path of paths) {
      try {
        await this.#cutDown(path)
        await this.#folder.disk.remove(path)
      } catch (error) {
        // Whoever else may have removed it.
        if (codeOf(error) !== 'ENOENT') {
          refused.push(error)
          continue
        }
      }
      this.#aside = this.#aside.filter(other => other !== path)
    }
    if (refused.length > 0) throw refused[0]
  }

  async #cutDown(path: string): Promise<void> {
    const { signal } = this.#hurry
    if (signal.aborted) return
    const file = await this.#folder.disk.open(path, 'existing')
    try {
      for (let left = await file.sizeBytes(); left > PIECE_BYTES && !signal.aborted;) {
        left -= PIECE_BYTES
        await file.truncate(left)
        // In a hurry there is no pause.
        await sleep(this.#clock, PAUSE_MS, signal).catch(() => {})
      }
    } finally {
      await file.close()
    }
  }
}
