import {
  uuid,
  withFields,
  type Connection,
  type Endpoint,
  type Listener,
  type Logger,
  type Platform,
} from '@conclave/core'
import { LinkError, MAX_BATCH_BYTES } from '../link/link.ts'
import type { LeaderMessage } from '../link/messages.ts'
import type { WorkerIntroduction } from '../link/leader-link.ts'
import { WorkerLink } from '../link/worker-link.ts'
import { ThreadPool } from './thread-pool.ts'
import {
  WorkerMachine,
  type TaskOutcome,
  type WorkerEffect,
  type WorkerEvent,
  type WorkerTask,
} from './worker-machine.ts'

export interface WorkerOptions {
  readonly platform: Platform
  readonly logger: Logger
  readonly workerId: string
  /** Where leaders connect. Port 0: any. */
  readonly listen: Endpoint
  readonly secret: Uint8Array
  readonly slots: number
  readonly modules: readonly URL[]
  readonly imports: readonly string[]
}

/** The leader has one, its predecessor perhaps another for a moment; the rest is for strangers that prove nothing. */
const MAX_LINKS = 64

/**
 * A node's worker: it accepts the link of the present leader, runs what it is handed in task threads, and keeps each
 * result until it is durable, however many leaders that takes. It goes on while its node leads.
 */
export class Worker {
  readonly #options: WorkerOptions
  readonly #logger: Logger
  readonly #machine: WorkerMachine
  readonly #pool: ThreadPool
  readonly #links = new Set<WorkerLink>()
  #listener: Listener | undefined
  #leader: WorkerLink | undefined
  /** The highest token a leader has shown: one with a lower has been deposed. */
  #fencingToken = -1n
  #tasks: readonly string[] = []
  readonly #incarnation: string
  #closed = false

  constructor(options: WorkerOptions) {
    this.#options = options
    this.#logger = withFields(options.logger, { workerId: options.workerId })
    this.#machine = new WorkerMachine(options.slots)
    this.#incarnation = uuid(options.platform.random)
    this.#pool = new ThreadPool(
      {
        threads: options.slots,
        modules: options.modules,
        imports: options.imports,
        workerId: options.workerId,
        clock: options.platform.clock,
        random: options.platform.random,
      },
      {
        onOutcomes: (thread, outcomes) => this.#step({ type: 'outcomes', thread, outcomes }),
        onThreadDied: (thread, crashed) => this.#step({ type: 'threadDied', thread, crashed }),
      },
    )
  }

  /** Loads the modules and listens. Throws `TaskModuleError` and `ListenError`. */
  async start(): Promise<void> {
    const { network } = this.#options.platform
    try {
      this.#listener = await network.listen(this.#options.listen, connection => this.#accept(connection))
      this.#tasks = await this.#pool.start()
    } catch (error) {
      await this.close()
      throw error
    }
  }

  get endpoint(): Endpoint {
    return this.#listener!.endpoint
  }

  /** The names of the tasks that it can run, in full. */
  get tasks(): readonly string[] {
    return this.#tasks
  }

  /** Stops at once; what it holds is handed out again by the leader. */
  async close(): Promise<void> {
    this.#closed = true
    for (const link of this.#links) link.close()
    await Promise.all([this.#listener?.close(), this.#pool.close()])
  }

  #accept(connection: Connection): void {
    const { platform, secret, workerId } = this.#options
    if (this.#links.size >= MAX_LINKS) {
      this.#logger.log('warn', 'a connection was refused: too many are open', { links: this.#links.size })
      connection.start({ onData: () => {}, onClose: () => {} })
      return connection.destroy()
    }
    const link: WorkerLink = new WorkerLink(
      { clock: platform.clock, random: platform.random, connection, secret, workerId },
      {
        onLeader: leader => this.#onLeader(link, leader),
        onOpen: () => this.#step({ type: 'linked' }),
        onMessage: (message, lines) => this.#onMessage(link, message, lines),
        onClose: error => this.#onClose(link, error),
      },
    )
    this.#links.add(link)
  }

  #onLeader(link: WorkerLink, leader: { leaderId: string; fencingToken: bigint }): WorkerIntroduction {
    if (leader.fencingToken < this.#fencingToken) {
      throw new LinkError(`a leader with a higher token than ${leader.fencingToken} has been here`)
    }
    this.#fencingToken = leader.fencingToken
    const previous = this.#leader
    this.#leader = link
    previous?.close()
    this.#logger.log('info', 'linked to the leader', leader)
    const { slots } = this.#options
    return { incarnation: this.#incarnation, slots, tasks: this.#tasks, held: this.#machine.held() }
  }

  #onMessage(link: WorkerLink, message: LeaderMessage, lines: readonly string[]): void {
    if (link !== this.#leader) return
    switch (message.type) {
      case 'assign': {
        const { jobId, task, items } = message
        if (items.length !== lines.length) throw new LinkError('an assignment without its inputs')
        const tasks = items.map(([index, attempt], i): WorkerTask => ({
          jobId,
          task,
          index,
          attempt,
          input: lines[i]!,
        }))
        return this.#step({ type: 'assigned', tasks })
      }
      case 'recorded':
        return this.#step({ type: 'recorded', jobId: message.jobId, indexes: message.indexes })
      case 'drop':
        return this.#step({ type: 'dropped', jobId: message.jobId })
      case 'ping':
    }
  }

  #onClose(link: WorkerLink, error?: Error): void {
    this.#links.delete(link)
    if (error !== undefined) this.#logger.log('warn', 'a link has ended', { reason: error.message })
    if (link !== this.#leader) return
    this.#leader = undefined
    this.#step({ type: 'unlinked' })
  }

  #step(event: WorkerEvent): void {
    if (this.#closed) return
    for (const effect of this.#machine.step({ ...event, nowMs: this.#options.platform.clock.nowMs() })) {
      this.#perform(effect)
    }
  }

  #perform(effect: WorkerEffect): void {
    switch (effect.type) {
      case 'run':
        return this.#run(effect.thread, effect.tasks)
      case 'send':
        return this.#send(effect.jobId, effect.outcomes)
      case 'restartThread':
        return this.#pool.restart(effect.thread)
    }
  }

  #run(thread: number, tasks: readonly WorkerTask[]): void {
    this.#pool.run(thread, {
      jobId: tasks[0]!.jobId,
      task: tasks[0]!.task,
      fencingToken: this.#fencingToken,
      indexes: tasks.map(({ index }) => index),
      attempts: tasks.map(({ attempt }) => attempt),
      inputs: tasks.map(({ input }) => input),
    })
  }

  #send(jobId: string, outcomes: readonly TaskOutcome[]): void {
    for (const batch of batchesOf(outcomes, ({ json }) => json.length)) {
      const items = batch.map(({ index, attempt, end, runMs }) => [index, attempt, end, runMs] as const)
      this.#leader?.send(
        { type: 'results', jobId, items },
        batch.map(({ json }) => json),
      )
    }
  }
}

/** Cuts a list where `MAX_BATCH_BYTES` are reached, so that no frame is much larger. */
export function* batchesOf<T>(items: readonly T[], bytesOf: (item: T) => number): Generator<readonly T[]> {
  let start = 0
  let bytes = 0
  for (const [i, item] of items.entries()) {
    bytes += bytesOf(item)
    if (bytes < MAX_BATCH_BYTES) continue
    yield items.slice(start, i + 1)
    start = i + 1
    bytes = 0
  }
  if (start < items.length) yield start === 0 ? items : items.slice(start)
}
