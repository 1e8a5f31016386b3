import { sleep, type Clock } from '@conclave/core'
import type { DataFolder, ZxidFile } from './data-folder.ts'

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
  #aside: string[] = []
  #isHurried = false

  /** Keeps so many snapshots. */
  constructor(folder: DataFolder, keep: number, clock: Clock) {
    this.#folder = folder
    this.#keep = keep
    this.#clock = clock
  }

  async purge(): Promise<void> {
    const before = this.#aside
    this.#aside = await this.#setAside()
    for (const path of before) await this.#cutDown(path)
  }

  /** From now on nobody waits for the log. */
  hurry(): void {
    this.#isHurried = true
  }

  /** Returns where the files are. A crash leaves them to the next start, with what else is unfinished. */
  async #setAside(): Promise<string[]> {
    const { disk } = this.#folder
    const paths: string[] = []
    for (const file of await this.#unneeded()) {
      const aside = this.#folder.asidePath(file)
      await disk.rename(file.path, aside)
      paths.push(aside)
    }
    // A power failure must not give a file that was cut down its name again.
    if (paths.length > 0) await this.#folder.sync()
    return paths
  }

  async #unneeded(): Promise<ZxidFile[]> {
    const snapshots = await this.#folder.snapshots()
    const oldestKept = snapshots.at(-this.#keep)
    if (oldestKept === undefined) return []
    const logs = await this.#folder.logs()
    const firstNeeded = logs.findLastIndex(({ zxid }) => zxid <= oldestKept.zxid)
    return [...snapshots.slice(0, -this.#keep), ...logs.slice(0, Math.max(0, firstNeeded))]
  }

  async #cutDown(path: string): Promise<void> {
    const { disk } = this.#folder
    const file = await disk.open(path, 'existing')
    try {
      let left = await file.sizeBytes()
      while (left > PIECE_BYTES && !this.#isHurried) {
        left -= PIECE_BYTES
        await file.truncate(left)
        await sleep(this.#clock, PAUSE_MS)
      }
    } finally {
      await file.close()
    }
    await disk.remove(path)
  }
}
