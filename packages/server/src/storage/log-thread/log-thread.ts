import { Worker } from 'node:worker_threads'
import { assert, deferred, type Deferred, type Logger } from '@conclave/core'
import type { FromLogThread } from './messages.ts'
import { MAX_BATCH_BYTES, SharedOrder, type LogOrder } from './shared-order.ts'

/**
 * A thread that gives batches of records their checksums, writes them and waits for the disk. While a server is busy, that
 * is a fifth of its work; and a batch is seen to be on disk, and the next begun, between two clients' turns instead of
 * after all of them.
 */
export class LogThread {
  readonly #order = SharedOrder.allocate()
  readonly #worker: Worker
  #isReady = false
  /** The order that is not known to be done. */
  #pending: Deferred<void> | undefined

  /** It becomes ready later, or never: where it cannot be started, the log says so. */
  constructor(logger: Logger) {
    this.#worker = new Worker(new URL('./log-worker.js', import.meta.url), {
      workerData: this.#order.memory,
      // Options of the process, such as those of a debugger, are not for this thread.
      execArgv: [],
      // It makes no objects to speak of.
      resourceLimits: { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16 },
    })
    this.#worker.unref()
    this.#worker.on('message', (message: FromLogThread) => this.#onMessage(message))
    this.#worker.on('error', error => {
      logger.log('warn', 'the log goes on without a thread of its own', { error })
      this.#fail(error)
    })
  }

  /** Whether it takes batches of so many bytes. */
  takes(bytes: number): boolean {
    return this.#isReady && bytes <= MAX_BATCH_BYTES
  }

  /** Resolves when the batch is on stable storage, the first time that somebody looks after that: see `poll`. */
  write(batch: Uint8Array, order: Omit<LogOrder, 'lengthBytes'>): Promise<void> {
    assert(this.#pending === undefined, 'one batch is written after the other')
    this.#pending = deferred()
    this.#order.batch.bytes.set(batch)
    this.#order.ask({ ...order, lengthBytes: batch.length })
    return this.#pending.promise
  }

  /** Looks whether the batch is on disk. The event loop does, too, when it comes to it. */
  poll(): void {
    if (this.#pending === undefined || !this.#order.isDone) return
    const { resolve } = this.#pending
    this.#pending = undefined
    resolve()
  }

  #onMessage(message: FromLogThread): void {
    if (message.type === 'ready') this.#isReady = true
    else if (message.type === 'done') this.poll()
    else this.#fail(message.error)
  }

  #fail(error: unknown): void {
    this.#isReady = false
    this.#pending?.reject(error)
    this.#pending = undefined
  }

  /** Ends it. Nothing may be being written. */
  async close(): Promise<void> {
    this.#isReady = false
    await this.#worker.terminate()
  }
}
