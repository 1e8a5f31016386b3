import {
  Backoff,
  ClosedError,
  ConclaveError,
  deferred,
  messageOf,
  type Clock,
  type Deferred,
  type Random,
} from '@conclave/core'
import { Worker } from 'node:worker_threads'
import { shortened } from '../jobs/segment.ts'
import type { ThreadChunk, ThreadData, ThreadMessage } from './thread-messages.ts'
import type { TaskOutcome } from './worker-machine.ts'

/** A task module cannot be imported. */
export class TaskModuleError extends ConclaveError {
  override readonly name = 'TaskModuleError'
  /** Which one; several, where it cannot be told which. */
  readonly module: string
  constructor(module: string, reason: string, cause: unknown) {
    super(`the task module ${module} cannot be loaded: ${reason}`, { code: 'TASK_MODULE', cause })
    this.module = module
  }
}

export interface ThreadPoolOptions {
  readonly threads: number
  readonly modules: readonly URL[]
  readonly imports: readonly string[]
  readonly workerId: string
  readonly clock: Clock
  readonly random: Random
}

export interface ThreadPoolHandler {
  onOutcomes(thread: number, outcomes: readonly TaskOutcome[]): void
  /** `crashed` is what it was running. The thread is replaced only when asked for (`restart`). */
  onThreadDied(thread: number, crashed: TaskOutcome | undefined): void
}

interface TaskThread {
  readonly worker: Worker
  readonly begun: Int32Array
  isReady: boolean
  chunk: ThreadChunk | undefined
  /** Outcomes of the present chunk that it has sent. */
  reported: number
}

/** Of threads that cannot load their modules any more. */
const RESTART_BACKOFF = { baseMs: 200, maxMs: 10_000 }

/**
 * The threads that run a node's tasks. In threads a busy task cannot stop the node's heartbeat, and a task that ends
 * its thread takes nothing else with it.
 */
export class ThreadPool {
  readonly #options: ThreadPoolOptions
  readonly #handler: ThreadPoolHandler
  readonly #threads: TaskThread[] = []
  readonly #ready: Deferred<readonly string[]> = deferred<readonly string[]>()
  readonly #backoff: Backoff
  #closing = false

  constructor(options: ThreadPoolOptions, handler: ThreadPoolHandler) {
    this.#options = options
    this.#backoff = new Backoff(options.random, RESTART_BACKOFF)
    this.#handler = handler
    // A pool that is closed before it is ready has nobody waiting for that.
    this.#ready.promise.catch(() => {})
  }

  /** Starts the threads; resolves to the names of the tasks in the modules. Throws `TaskModuleError`. */
  async start(): Promise<readonly string[]> {
    for (let thread = 0; thread < this.#options.threads; thread++) this.#start(thread)
    try {
      return await this.#ready.promise
    } catch (error) {
      await this.close()
      throw error
    }
  }

  /** A fresh thread in the place of one that died: at once, or, where that was never ready, after a while. */
  restart(thread: number): void {
    const { clock } = this.#options
    const previous = this.#threads[thread]
    if (previous === undefined || previous.isReady) return this.#start(thread)
    clock.setTimer(this.#backoff.nextDelayMs(), () => this.#start(thread), { unref: true })
  }

  #start(thread: number): void {
    if (this.#closing) return
    const begun = new SharedArrayBuffer(4)
    const workerData: ThreadData = {
      modules: this.#options.modules.map(String),
      imports: this.#options.imports,
      workerId: this.#options.workerId,
      begun,
    }
    const worker = new Worker(new URL('./task-thread.js', import.meta.url), { workerData, stdin: false })
    // What it was given while it was being replaced.
    const chunk = this.#threads[thread]?.chunk
    const started: TaskThread = { worker, begun: new Int32Array(begun), isReady: false, chunk, reported: 0 }
    this.#threads[thread] = started
    if (chunk !== undefined) worker.postMessage(chunk)
    let failure: unknown
    worker.on('message', (message: ThreadMessage) => this.#onMessage(thread, started, message))
    worker.on('error', error => (failure = error))
    worker.on('exit', code => this.#onExit(thread, started, failure, code))
  }

  run(thread: number, chunk: ThreadChunk): void {
    const { worker, begun } = this.#threads[thread]!
    Atomics.store(begun, 0, 0)
    this.#threads[thread]!.chunk = chunk
    this.#threads[thread]!.reported = 0
    worker.postMessage(chunk)
  }

  /** Ends every thread, in the middle of its task if need be. */
  async close(): Promise<void> {
    this.#closing = true
    this.#ready.reject(new ClosedError('the thread pool'))
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()))
  }

  #onMessage(thread: number, from: TaskThread, message: ThreadMessage): void {
    switch (message.type) {
      case 'ready':
        from.isReady = true
        this.#backoff.reset()
        this.#ready.resolve(message.tasks)
        return
      case 'unloadable': {
        const cause = Object.assign(new Error(message.message), { stack: message.stack })
        this.#ready.reject(new TaskModuleError(message.module, message.message, cause))
        return
      }
      case 'outcomes':
        from.reported += message.outcomes.length
        if (from.reported === from.chunk?.indexes.length) from.chunk = undefined
        this.#handler.onOutcomes(thread, message.outcomes)
    }
  }

  #onExit(thread: number, from: TaskThread, failure: unknown, code: number): void {
    if (this.#closing || this.#threads[thread] !== from) return
    const { chunk, begun } = from
    from.chunk = undefined
    const modules = this.#options.modules.join(', ')
    this.#ready.reject(new TaskModuleError(modules, startFailure(failure, code), failure))
    const reason =
      failure === undefined ? `the task ended its thread with process.exit(${code})` : describe(failure)
    this.#handler.onThreadDied(
      thread,
      chunk === undefined ? undefined : crashOf(chunk, Atomics.load(begun, 0), reason),
    )
  }
}

/** Node.js ends a thread, as a process, with this code where nothing is left that a top-level `await` could wait for. */
const UNSETTLED_AWAIT_CODE = 13

function startFailure(failure: unknown, code: number): string {
  if (failure !== undefined) return messageOf(failure)
  if (code === UNSETTLED_AWAIT_CODE) return 'it waits for something that never comes (a top-level await)'
  return `it calls process.exit(${code}) while it is loaded`
}

function describe(failure: unknown): string {
  return `the task brought its thread down: ${messageOf(failure)}`
}

/**
 * `begun` tasks of the chunk were begun, so the last of them was running. A thread that died before the first (its
 * modules cannot be loaded any more) is laid to that one, so that trying again ends.
 */
function crashOf(chunk: ThreadChunk, begun: number, message: string): TaskOutcome {
  const at = Math.max(0, begun - 1)
  const error = shortened({ name: 'TaskCrashedError', message })
  return {
    index: chunk.indexes[at]!,
    attempt: chunk.attempts[at]!,
    end: 'failed',
    runMs: 0,
    json: JSON.stringify(error),
  }
}
