import type { Clock, Logger } from '@conclave/core'
import type { LatencyStats } from './admin/server-stats.ts'
import type { GroupCommit } from './pipeline/group-commit.ts'
import type { ServerState } from './state/server-state.ts'
import type { SnapshotForm } from './storage/compression/snapshot-form.ts'
import type { DataFolder, ZxidFile } from './storage/data-folder.ts'
import { recoverAt } from './storage/recovery.ts'
import { Retention } from './storage/retention.ts'
import { writeSnapshot, type WrittenSnapshot } from './storage/snapshot-writer.ts'
import { DataFolderError } from './storage/storage-errors.ts'

/** Sessions are only passed on, so it does not matter when they would expire. */
const TICK_MS = 1_000

/** A snapshot that is kept until `release` is called. */
export interface HeldSnapshot extends ZxidFile {
  release(): void
}

/** Takes a snapshot every so many transactions, beside the work, and removes what is older than those to be kept. */
export class Snapshots {
  readonly #folder: DataFolder
  readonly #state: ServerState
  readonly #commit: GroupCommit
  readonly #every: number
  readonly #retention: Retention
  readonly #form: SnapshotForm
  readonly #logger: Logger
  readonly #clock: Clock
  readonly #time: LatencyStats
  #since: number
  #running: Promise<void> | undefined

  /** `since` is how many transactions there are since the last one. */
  constructor(
    folder: DataFolder,
    state: ServerState,
    commit: GroupCommit,
    options: {
      readonly every: number
      readonly keep: number
      readonly form: SnapshotForm
      readonly since: number
      readonly logger: Logger
      readonly clock: Clock
      /** How long each took. */
      readonly time: LatencyStats
    },
  ) {
    this.#folder = folder
    this.#state = state
    this.#commit = commit
    this.#every = options.every
    this.#retention = new Retention(folder, options.keep, options.clock)
    this.#form = options.form
    this.#since = options.since
    this.#logger = options.logger
    this.#clock = options.clock
    this.#time = options.time
  }

  onTransaction(): void {
    // Of a large tree less often: a snapshot should cost less than the transactions since the one before.
    const every = Math.max(this.#every, this.#state.tree.size / 4)
    if (++this.#since < every || this.#running !== undefined) return
    // One that fails costs time at the next start, nothing else: the logs have all of it.
    void this.#run(() => this.#take()).catch((error: unknown) => {
      this.#logger.log('error', 'no snapshot could be taken', { error })
    })
  }

  /**
   * Takes a snapshot now that needs no log: it holds the tree as it was right after the transaction in its name. Where the
   * tree changed meanwhile, it is read back with the log of that time, and written again. Whatever snapshots come next, it
   * stays until `release` is called.
   */
  async takeExact(): Promise<HeldSnapshot> {
    const file = await this.#run(async () => {
      const taken = await this.#take()
      if (taken.isExact) return taken
      return this.#write(await recoverAt(this.#folder, taken.lastZxid, TICK_MS, this.#logger))
    })
    return { ...file, release: this.#retention.hold(file) }
  }

  /** One after the other, each with what it makes unneeded set aside. */
  #run(take: () => Promise<ZxidFile>): Promise<ZxidFile> {
    const taking = this.#after(this.#running, take)
    const ended: Promise<void> = taking
      .then(
        () => this.#logged(this.#retention.purge()),
        () => {},
      )
      .then(() => {
        if (this.#running === ended) this.#running = undefined
      })
    this.#running = ended
    return taking
  }

  async #after(before: Promise<void> | undefined, take: () => Promise<ZxidFile>): Promise<ZxidFile> {
    await before
    this.#since = 0
    await this.#commit.roll()
    return take()
  }

  /** What cannot be removed takes space, nothing else. */
  async #logged(removal: Promise<void>): Promise<void> {
    await removal.catch((error: unknown) => {
      this.#logger.log('error', 'old snapshots and logs could not be removed', { error })
    })
  }

  async #take(): Promise<WrittenSnapshot> {
    const sinceMs = this.#clock.nowMs()
    const taken = await this.#write(this.#state)
    this.#time.add(this.#clock.nowMs() - sinceMs)
    this.#logger.log('info', 'snapshot taken', { zxid: taken.zxid, znodes: this.#state.tree.size })
    return taken
  }

  #write(state: ServerState): Promise<WrittenSnapshot> {
    return writeSnapshot(this.#folder, state, { form: this.#form, isDurable: () => this.#isDurable() })
  }

  /** A snapshot that knows of more than the log would bring back what was never acknowledged, or by halves. */
  async #isDurable(): Promise<void> {
    await this.#commit.drain()
    if (this.#commit.failed) throw new DataFolderError('the transaction log cannot be written')
  }

  /** Waits for those that are being taken, and removes what is set aside. None may be taken after it. */
  async end(): Promise<void> {
    // The first time so that what is going on ends soon, the second for what it has set aside.
    await this.#logged(this.#retention.end())
    await this.#running
    await this.#logged(this.#retention.end())
  }
}
