import { assert, deferred, type Logger } from '@conclave/core'
import { JuteWriter, type Txn, type TxnHeader } from '@conclave/protocol'
import type { TreeDigest } from '../state/tree-digest.ts'
import type { TxnLog } from '../storage/txn-log.ts'
import { writeRecord } from '../storage/txn-record.ts'

const INITIAL_BYTES = 256 << 10
/** So much is worth a sync of its own: it is on its way to the disk while the rest of the turn is worked on. */
const FULL_BATCH_BYTES = 64 << 10

/** What the log stage tells the server. */
export interface GroupCommitEvents {
  /** A batch of so many records begins its way to the disk, where it ends with one of the others. */
  onWriting?(recordCount: number): void
  /** Everything up to `GroupCommit.durable` is on disk: what waited for it can go out. */
  onDurable(): void
  /** The disk refused. Nothing that was not durable by then will ever be. */
  onFailure(error: unknown): void
}

/**
 * The log stage: gathers records while the batch before them is being written, then writes them all at once. Under load
 * one sync serves hundreds of writes; a single write waits for nobody.
 */
export class GroupCommit {
  readonly #log: TxnLog
  readonly #events: GroupCommitEvents
  readonly #logger: Logger
  #gathering = new JuteWriter(INITIAL_BYTES)
  #spare = new JuteWriter(INITIAL_BYTES)
  #firstZxid = 0
  /** Where the gathering batch will begin in the log. */
  #batchStart: number
  #rollAfterNext = false
  #appended = 0
  #durable = 0
  #scheduled = false
  #running = false
  #failed = false
  #drains: { readonly upTo: number; readonly resolve: () => void }[] = []

  constructor(log: TxnLog, events: GroupCommitEvents, logger: Logger) {
    this.#log = log
    this.#events = events
    this.#logger = logger
    this.#batchStart = log.nextOffset
  }

  /** How many records were appended. */
  get appended(): number {
    return this.#appended
  }

  /** How many of them are on disk. */
  get durable(): number {
    return this.#durable
  }

  get failed(): boolean {
    return this.#failed
  }

  /** Bytes that wait for their turn. */
  get gatheringBytes(): number {
    return this.#gathering.length
  }

  /** Looks whether what is being written is on disk by now, without waiting for the event loop. */
  poll(): void {
    if (this.#running) this.#log.poll()
  }

  append(header: TxnHeader, txn: Txn, digest: TreeDigest): void {
    assert(!this.#failed, 'no record is appended after the disk failed')
    if (this.#gathering.length === 0) this.#firstZxid = header.zxid
    writeRecord(this.#gathering, header, txn, digest, this.#batchStart)
    this.#appended++
    if (this.#running) return
    if (this.#gathering.length >= FULL_BATCH_BYTES) void this.#run()
    else this.#schedule()
  }

  /**
   * Lets the next batch that begins to gather begin a new log file, too. Resolves when it will; rejects where there can be
   * none, and the present one goes on.
   */
  async roll(): Promise<void> {
    await this.#log.prepareNext()
    // What is gathering may begin a new one anyway.
    if (this.#log.isRolling) return
    // It was told where it begins, so it still goes to the present file.
    if (this.#gathering.length > 0) this.#rollAfterNext = true
    else {
      this.#log.roll()
      this.#batchStart = this.#log.nextOffset
    }
  }

  /** Waits until the other connections that have something to say in this turn have said it, too. */
  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      if (!this.#running) void this.#run()
    })
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    this.#running = true
    while (this.#gathering.length > 0 && !this.#failed) await this.#writeBatch()
    // In the same turn as the last look at what gathered, so that nothing appended now is forgotten.
    this.#running = false
  }

  async #writeBatch(): Promise<void> {
    const batch = this.#gathering
    const upTo = this.#appended
    this.#events.onWriting?.(upTo - this.#durable)
    this.#gathering = this.#spare
    this.#spare = batch
    try {
      const written = this.#log.write(batch.view(), this.#firstZxid, this.#rollAfterNext)
      this.#rollAfterNext = false
      this.#batchStart = this.#log.nextOffset
      await written
    } catch (error) {
      this.#failed = true
      this.#logger.log('error', 'the transaction log cannot be written', { error })
      this.#settleDrains()
      this.#events.onFailure(error)
      return
    }
    batch.reset()
    this.#durable = upTo
    this.#settleDrains()
    this.#events.onDurable()
  }

  /** Resolves when everything appended so far is on disk, or never will be. */
  drain(): Promise<void> {
    if (this.#durable === this.#appended || this.#failed) return Promise.resolve()
    const { promise, resolve } = deferred()
    this.#drains.push({ upTo: this.#appended, resolve })
    return promise
  }

  #settleDrains(): void {
    if (this.#drains.length === 0) return
    const isOver = ({ upTo }: { upTo: number }): boolean => upTo <= this.#durable || this.#failed
    for (const { resolve } of this.#drains.filter(isOver)) resolve()
    this.#drains = this.#drains.filter(drain => !isOver(drain))
  }
}
