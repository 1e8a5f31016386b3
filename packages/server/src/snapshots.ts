import type { Clock, Logger } from '@conclave/core'
import type { LatencyStats } from './admin/server-stats.ts'
import type { GroupCommit } from './pipeline/group-commit.ts'
import type { ServerState } from './state/server-state.ts'
import type { SnapshotForm } from './storage/compression/snapshot-form.ts'
import type { DataFolder } from './storage/data-folder.ts'
import { purge } from './storage/retention.ts'
import { writeSnapshot } from './storage/snapshot-writer.ts'
import { DataFolderError } from './storage/storage-errors.ts'

/** Takes a snapshot every so many transactions, beside the work, and removes what is older than those to be kept. */
export class Snapshots {
  readonly #folder: DataFolder
  readonly #state: ServerState
  readonly #commit: GroupCommit
  readonly #every: number
  readonly #keep: number
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
    this.#keep = options.keep
    this.#form = options.form
    this.#since = options.since
    this.#logger = options.logger
    this.#clock = options.clock
    this.#time = options.time
  }

  onTransaction(): void {
    // Of a large tree less often: a snapshot should cost less than the transactions since the one before.
    const every = Math.max(this.#every, this.#state.tree.znodes.size / 4)
    if (++this.#since < every || this.#running !== undefined) return
    this.#since = 0
    this.#commit.roll()
    this.#running = this.#take().finally(() => {
      this.#running = undefined
    })
  }

  /** A snapshot that fails costs time at the next start, nothing else: the logs have all of it. */
  async #take(): Promise<void> {
    const sinceMs = this.#clock.nowMs()
    try {
      const { zxid } = await writeSnapshot(this.#folder, this.#state, {
        form: this.#form,
        isDurable: () => this.#isDurable(),
      })
      this.#time.add(this.#clock.nowMs() - sinceMs)
      await purge(this.#folder, this.#keep)
      this.#logger.log('info', 'snapshot taken', { zxid, znodes: this.#state.tree.znodes.size })
    } catch (error) {
      this.#logger.log('error', 'no snapshot could be taken', { error })
    }
  }

  /** A snapshot that knows of more than the log would bring back what was never acknowledged, or by halves. */
  async #isDurable(): Promise<void> {
    await this.#commit.drain()
    if (this.#commit.failed) throw new DataFolderError('the transaction log cannot be written')
  }

  /** Waits for the one that is being taken. */
  async settled(): Promise<void> {
    await this.#running
  }
}
