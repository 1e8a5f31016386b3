import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Clock, ConnectionHandler, Endpoint, TlsSource } from '@conclave/core'
import type { ClientStream } from '../connection.ts'
import type { FromWorker, HeartbeatWorkerData, ToWorker } from './messages.ts'
import { SharedTime } from './shared-time.ts'
import { StallWatch } from './stall-watch.ts'

/** How many bytes may be on their way to the thread before whoever writes is asked to wait. */
const HIGH_WATER_BYTES = 1024 * 1024

export interface HeartbeatThreadOptions {
  readonly clock: Clock
  readonly tls: TlsSource | undefined
  readonly maxReplyBytes: number
  /** How long the event loop may stand still before the thread stops pinging. */
  readonly maxStallMs: number
  /** It stood still for longer: told as soon as it turns again, before anything relies on that. */
  readonly onStalled: (stalledMs: number) => void
}

/**
 * A thread in which the connections of a client live, so that they are kept alive while its event loop is busy; and
 * the watch over that event loop, without which nobody would notice that a process hangs for ever.
 */
export class HeartbeatThread {
  readonly #options: HeartbeatThreadOptions
  readonly #stalls: StallWatch
  readonly #streams = new Map<number, ThreadStream>()
  #worker: Worker | undefined
  #nextId = 1

  constructor(options: HeartbeatThreadOptions) {
    this.#options = options
    this.#stalls = new StallWatch(options.clock, options.maxStallMs, options.onStalled)
  }

  start(): void {
    this.#stalls.start()
  }

  /** See `StallWatch.vouchedUntilMs`. */
  get vouchedUntilMs(): number {
    return this.#stalls.vouchedUntilMs
  }

  connect(endpoint: Endpoint): ClientStream {
    const { clock, tls } = this.#options
    this.#worker ??= this.#start()
    const id = this.#nextId++
    const stream = new ThreadStream(id, endpoint, clock, message => this.#worker?.postMessage(message))
    this.#streams.set(id, stream)
    const { buffer: answered } = stream.answered
    this.#post({
      type: 'connect',
      id,
      endpoint,
      tls: typeof tls === 'function' ? tls() : tls,
      answered,
    })
    return stream
  }

  #post(message: ToWorker): void {
    this.#worker?.postMessage(message)
  }

  #start(): Worker {
    const workerData: HeartbeatWorkerData = {
      beat: this.#stalls.beat.buffer,
      maxStallMs: this.#options.maxStallMs,
      maxReplyBytes: this.#options.maxReplyBytes,
    }
    // Options of the process, such as those of a debugger, are not for this thread.
    const worker = new Worker(new URL('./heartbeat-worker.js', import.meta.url), { workerData, execArgv: [] })
    let failure: Error | undefined
    worker.on('message', (message: FromWorker) => this.#onMessage(message))
    worker.on('error', error => (failure = error as Error))
    worker.on('exit', () => {
      if (this.#worker === worker) this.#worker = undefined
      const cause = new Error('the thread of the connection has ended', { cause: failure })
      for (const id of [...this.#streams.keys()]) this.#onMessage({ type: 'closed', id, error: cause })
    })
    return worker
  }

  #onMessage(message: FromWorker): void {
    const stream = this.#streams.get(message.id)
    if (message.type === 'closed') this.#streams.delete(message.id)
    stream?.on(message)
  }

  /** Resolves when the thread has ended: what was written goes out before. */
  async close(): Promise<void> {
    this.#stalls.stop()
    if (this.#worker === undefined) return
    const ended = once(this.#worker, 'exit')
    this.#post({ type: 'exit' })
    await ended
  }
}

/** A byte stream whose socket is in the thread. */
class ThreadStream implements ClientStream {
  readonly remote: Endpoint
  readonly answered = new SharedTime()
  readonly #id: number
  readonly #clock: Clock
  readonly #post: (message: ToWorker) => void
  #handler: ConnectionHandler | undefined
  #untaken = 0

  constructor(id: number, remote: Endpoint, clock: Clock, post: (message: ToWorker) => void) {
    this.#id = id
    this.remote = remote
    this.#clock = clock
    this.#post = post
  }

  get answeredMs(): number {
    // In this order, so that what passes between the two makes it earlier, never later.
    const nowMs = this.#clock.nowMs()
    return nowMs - this.answered.ageMs
  }

  start(handler: ConnectionHandler): void {
    this.#handler = handler
  }

  on(message: FromWorker): void {
    switch (message.type) {
      case 'connected':
        return this.#handler?.onConnect?.()
      case 'data': {
        const { buffer, byteOffset, length } = message.bytes
        return this.#handler?.onData(Buffer.from(buffer, byteOffset, length))
      }
      case 'taken': {
        const wasFull = this.#untaken >= HIGH_WATER_BYTES
        this.#untaken -= message.bytes
        if (wasFull && this.#untaken < HIGH_WATER_BYTES) this.#handler?.onDrain?.()
        return
      }
      case 'closed':
        return this.#handler?.onClose(message.error)
    }
  }

  keepAlive(intervalMs: number): void {
    this.#post({ type: 'keepAlive', id: this.#id, intervalMs })
  }

  write(bytes: Uint8Array): boolean {
    this.#untaken += bytes.length
    this.#post({ type: 'write', id: this.#id, bytes })
    return this.#untaken < HIGH_WATER_BYTES
  }

  pause(): void {
    this.#post({ type: 'pause', id: this.#id })
  }

  resume(): void {
    this.#post({ type: 'resume', id: this.#id })
  }

  end(): void {
    this.#post({ type: 'end', id: this.#id })
  }

  destroy(): void {
    this.#post({ type: 'destroy', id: this.#id })
  }
}
