import { Worker } from 'node:worker_threads'
import { assert, deferred, type Deferred, type Logger } from '@conclave/core'
import type { FromLogThread } from './messages.ts'
import { MAX_BATCH_BYTES, SharedOrder, type LogOrder } from './shared-order.ts'

/** The thread has ended, through no fault of the disk. What it was asked to write may be written or not. */
export class LogThreadEndedError extends Error {
  constructor() {
    super('the thread of the log has ended')
  }
}

/**
 * A thread that gives batches of records their checksums, writes them and waits for the disk. While a server is busy, that
 * is a fifth of its work; and a batch is seen to be on disk, and the next begun, between two clients' turns instead of
 * after all of them.
 */
export class LogThread {
  readonly #order = SharedOrder.allocate()
  readonly #worker: Worker
  #isReady = false
  /** It is told to end, or has nothing to go on with. */
  #isOver = false
  /** What it ended with, if that was not the disk's. */
  #error: unknown
  /** The order that is not known to be done. */
  #pending: Deferred<void> | undefined

  private constructor(logger: Logger) {
    this.#worker = new Worker(new URL('./log-worker.js', import.meta.url), {
      workerData: this.#order.memory,
      // Options of the process, such as those of a debugger, are not for this thread.
      execArgv: [],
      // It makes no objects to speak of.
      resourceLimits: { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16 },
    })
    this.#worker.on('message', (message: FromLogThread) => this.#onMessage(message))
    this.#worker.on('error', error => (this.#error = error))
    this.#worker.on('exit', () => {
      if (!this.#isOver) warnOf(this.#error ?? new LogThreadEndedError(), logger)
      this.#fail(new LogThreadEndedError())
    })
    // After the listeners, which would undo it: only while something is written does the process wait for the thread.
    this.#worker.unref()
  }

  /** It takes batches as soon as it is ready. `undefined` where there can be none: the log says why. */
  static start(logger: Logger): LogThread | undefined {
    try {
      return new LogThread(logger)
    } catch (error) {
      warnOf(error, logger)
      return undefined
    }
  }

  /** Whether it takes a batch of so many bytes. */
  takes(bytes: number): boolean {
    return this.#isReady && bytes <= MAX_BATCH_BYTES
  }

  /**
   * Resolves when the batch is on stable storage, the first time that somebody looks after that: see `poll`. Rejects with
   * what the disk said, or with `LogThreadEndedError`.
   */
  write(batch: Uint8Array, order: Omit<LogOrder, 'lengthBytes'>): Promise<void> {
    assert(this.#pending === undefined, 'one batch is written after the other')
    this.#pending = deferred()
    this.#worker.ref()
    this.#order.batch.bytes.set(batch)
    this.#order.ask({ ...order, lengthBytes: batch.length })
    return this.#pending.promise
  }

  /** Looks whether the batch is on disk. The event loop does, too, when it comes to it. */
  poll(): void {
    if (this.#pending !== undefined && this.#order.isDone) this.#takePending()?.resolve()
  }

  #takePending(): Deferred<void> | undefined {
    const pending = this.#pending
    this.#pending = undefined
    this.#worker.unref()
    return pending
  }

  #onMessage(message: FromLogThread): void {
    switch (message.type) {
      case 'ready':
        this.#isReady = true
        return
      case 'done':
        return this.poll()
      case 'failed':
        this.#isOver = true
        return this.#fail(Object.assign(new Error(message.message), message.fields))
    }
  }

  #fail(error: Error): void {
    this.#isReady = false
    this.#takePending()?.reject(error)
  }

  /** Ends it. Nothing may be being written. */
  async close(): Promise<void> {
    this.#isOver = true
    this.#isReady = false
    await this.#worker.terminate()
  }
}

function warnOf(error: unknown, logger: Logger): void {
  logger.log('warn', 'the log goes on without a thread of its own', { error })
}
