import { assert } from '@conclave/core'
import type { JobWrite, LeaderEffect, LeaderEvent } from '../../src/leader/leader-events.ts'
import { LeaderMachine } from '../../src/leader/leader-machine.ts'
import { peekResult, parseResult, type Begun } from '../../src/jobs/segment.ts'
import {
  WorkerMachine,
  type TaskOutcome,
  type WorkerEffect,
  type WorkerEvent,
  type WorkerTask,
} from '../../src/worker/worker-machine.ts'

/** What a task does when it runs: decided by its index, so that every attempt behaves alike. */
export type TaskBehaviour = 'succeeds' | 'throws' | 'endsThread' | 'killsWorker'

export interface SimulationOptions {
  readonly taskCount: number
  readonly maxAttempts: number
  readonly behaviour: (index: number) => TaskBehaviour
  /** One node and no other: it leads and works, and what kills it as a worker kills the leader. Default `false`. */
  readonly alone?: boolean
  /** Uniform in [0, 1): the one source of every choice, so that a seed replays a run. */
  readonly random: () => number
}

type ToLeader = { results: TaskOutcome[] }
type ToWorker = LeaderEffect & { type: 'assign' | 'forget' | 'drop' }

interface SimulatedWorker {
  readonly id: string
  readonly incarnation: string
  machine: WorkerMachine
  /** The messages under way, in order. A broken link loses them. */
  toLeader: ToLeader[]
  toWorker: ToWorker[]
  linked: boolean
  /** What each thread still has to run. */
  threads: WorkerTask[][]
}

const JOB = 'job'
const THREADS = 2

/** Leader, workers, links and store in one thread and one sequence of choices: no clock, no network, no disk. */
export class SimulatedCluster {
  readonly #options: SimulationOptions
  readonly #workers: SimulatedWorker[] = []
  #leader = new LeaderMachine()
  /** The write that has been handed to the store and not been confirmed. */
  #writing: readonly JobWrite[] | undefined
  readonly recorded = new Map<number, ReturnType<typeof parseResult>>()
  #segments = 0
  /** What the store knows of tasks that leaders began in their own process. */
  #begun: Begun | undefined
  /** Grows with every step, and by more when time is all that is left to happen. */
  #nowMs = 0
  #waits = 0
  isFinished = false
  #workerNumber = 0
  readonly history: string[] = []

  constructor(options: SimulationOptions) {
    this.#options = options
    this.#beginTerm()
    for (let i = 0; i < (options.alone === true ? 1 : 3); i++) this.addWorker()
  }

  /** Things that only bring the job on. `false` when there is nothing left to do. */
  progress(): boolean {
    const actions: (() => void)[] = []
    for (const worker of this.#workers) {
      if (worker.toLeader.length > 0) actions.push(() => this.#deliverToLeader(worker))
      if (worker.toWorker.length > 0) actions.push(() => this.#deliverToWorker(worker))
      if (!worker.linked) actions.push(() => this.link(worker))
      for (const thread of worker.threads.keys()) {
        if (worker.threads[thread]!.length > 0) actions.push(() => this.#runSome(worker, thread))
      }
    }
    if (this.#writing !== undefined) actions.push(() => this.#finishWrite())
    if (actions.length === 0) {
      // What only time can bring on: a leader that works itself, one that is given up.
      if (this.isFinished || ++this.#waits > 10) return false
      actions.push(() => this.#wait())
    } else {
      this.#waits = 0
    }
    this.#choose(actions)()
    return true
  }

  #wait(): void {
    this.#nowMs += 1_000
    this.#stepLeader({ type: 'tick' })
  }

  /** Things that go wrong. */
  fault(): void {
    const worker = this.#choose(this.#workers)
    const faults: (() => void)[] = [
      () => this.#unlink(worker),
      () => this.#kill(worker),
      () => this.#replaceLeader(),
      ...(this.#options.alone === true ? [] : [() => this.addWorker()]),
    ]
    this.#choose(faults)()
  }

  /** How many results the workers keep because they do not know them to be durable. */
  heldCount(): number {
    return this.#workers.reduce((sum, { machine }) => sum + machine.inspect().held, 0)
  }

  addWorker(): void {
    const incarnation = `w${++this.#workerNumber}`
    const id = this.#options.alone === true ? 'self' : incarnation
    this.#note(`worker ${id} joins`)
    const worker: SimulatedWorker = {
      id,
      incarnation,
      machine: new WorkerMachine(THREADS),
      toLeader: [],
      toWorker: [],
      linked: false,
      threads: Array.from({ length: THREADS }, () => []),
    }
    this.#workers.push(worker)
    this.link(worker)
  }

  link(worker: SimulatedWorker): void {
    this.#note(`worker ${worker.id} is linked`)
    worker.linked = true
    this.#stepLeader({
      type: 'workerLinked',
      workerId: worker.id,
      incarnation: worker.incarnation,
      slots: THREADS,
      tasks: ['tasks#work'],
      isSelf: this.#options.alone === true,
      held: worker.machine.held(),
    })
    this.#stepWorker(worker, { type: 'linked' })
  }

  #unlink(worker: SimulatedWorker): void {
    if (!worker.linked) return
    this.#note(`worker ${worker.id} is unlinked`)
    worker.linked = false
    worker.toLeader = []
    worker.toWorker = []
    this.#stepWorker(worker, { type: 'unlinked' })
    this.#stepLeader({ type: 'workerUnlinked', workerId: worker.id })
    if (this.#options.random() < 0.5) this.#stepLeader({ type: 'workerGone', workerId: worker.id })
  }

  #kill(worker: SimulatedWorker): void {
    this.#note(`worker ${worker.id} dies`)
    this.#workers.splice(this.#workers.indexOf(worker), 1)
    if (this.#options.alone === true) {
      this.#replaceLeader()
      return this.addWorker()
    }
    this.#stepLeader({ type: 'workerUnlinked', workerId: worker.id })
    this.#stepLeader({ type: 'workerGone', workerId: worker.id })
    this.addWorker()
  }

  /** The write in flight is applied, or not; the new leader reads what is there. */
  #replaceLeader(): void {
    this.#note('the leader dies')
    if (this.#writing !== undefined && this.#options.random() < 0.5) this.#apply(this.#writing)
    this.#writing = undefined
    this.#leader = new LeaderMachine()
    for (const worker of this.#workers) {
      worker.toLeader = []
      worker.toWorker = []
      if (worker.linked) this.#stepWorker(worker, { type: 'unlinked' })
      worker.linked = false
    }
    this.#beginTerm()
  }

  #beginTerm(): void {
    if (!this.isFinished) this.#loadJob()
  }

  #loadJob(): void {
    const { taskCount, maxAttempts } = this.#options
    this.#stepLeader({
      type: 'jobLoaded',
      job: {
        jobId: JOB,
        order: 1n,
        task: 'work',
        maxAttempts,
        inputs: Array.from({ length: taskCount }, (_, index) => String(index)),
        recorded: [...this.recorded.values()].map(({ index, end }) => ({ index, end })),
        begun: this.#begun,
        nextSegment: this.#segments,
        resultBytes: 0,
      },
    })
  }

  #deliverToLeader(worker: SimulatedWorker): void {
    const { results } = worker.toLeader.shift()!
    this.#stepLeader({ type: 'results', workerId: worker.id, jobId: JOB, results })
  }

  #deliverToWorker(worker: SimulatedWorker): void {
    const message = worker.toWorker.shift()!
    switch (message.type) {
      case 'assign': {
        const { jobId, task, items, inputs } = message
        const tasks = items.map(([index, attempt], i) => ({ jobId, task, index, attempt, input: inputs[i]! }))
        return this.#stepWorker(worker, { type: 'assigned', tasks })
      }
      case 'forget':
        return this.#stepWorker(worker, { type: 'recorded', jobId: message.jobId, indexes: message.indexes })
      case 'drop':
        return this.#stepWorker(worker, { type: 'dropped', jobId: message.jobId })
    }
  }

  #runSome(worker: SimulatedWorker, thread: number): void {
    const tasks = worker.threads[thread]!
    const outcomes: TaskOutcome[] = []
    const count = 1 + Math.floor(this.#options.random() * tasks.length)
    for (let i = 0; i < count; i++) {
      const { index, attempt } = tasks.shift()!
      const behaviour = this.#options.behaviour(index)
      const outcome = {
        index,
        attempt,
        runMs: this.#options.random() * 4,
        json: JSON.stringify({ message: behaviour }),
      }
      if (behaviour === 'killsWorker') return this.#kill(worker)
      if (behaviour === 'endsThread') {
        if (outcomes.length > 0) this.#stepWorker(worker, { type: 'outcomes', thread, outcomes })
        return this.#stepWorker(worker, {
          type: 'threadDied',
          thread,
          crashed: { ...outcome, end: 'failed' },
        })
      }
      outcomes.push({ ...outcome, end: behaviour === 'throws' ? 'failed' : 'succeeded' })
    }
    this.#stepWorker(worker, { type: 'outcomes', thread, outcomes })
  }

  #finishWrite(): void {
    this.#apply(this.#writing!)
    this.#writing = undefined
    this.#stepLeader({ type: 'recorded' })
  }

  #apply(writes: readonly JobWrite[]): void {
    for (const { segment, end } of writes) {
      assert(!this.isFinished, 'nothing is written to a finished job')
      if (segment !== undefined) {
        assert(segment.number === this.#segments, 'segments are numbered without a gap')
        this.#segments++
        for (const line of segment.lines) {
          const { index } = peekResult(line, 'segment')
          assert(!this.recorded.has(index), `task ${index} is recorded once`)
          this.recorded.set(index, parseResult(line, 'segment'))
        }
      }
      if (end === undefined) continue
      this.isFinished = true
      assert(end.succeeded + end.failed === this.#options.taskCount, 'the end counts every task')
    }
  }

  #stepLeader(event: LeaderEvent): void {
    for (const effect of this.#leader.step({ ...event, nowMs: this.#nowMs++ })) this.#performLeader(effect)
    this.#leader.validate()
  }

  #performLeader(effect: LeaderEffect): void {
    if (effect.type === 'record') {
      assert(this.#writing === undefined, 'one write at a time')
      this.#writing = effect.writes
      return
    }
    if (effect.type === 'assign' && effect.begun !== undefined) this.#begun = effect.begun
    const worker = this.#workers.find(({ id }) => id === effect.workerId)
    if (worker?.linked === true) worker.toWorker.push(effect)
  }

  #stepWorker(worker: SimulatedWorker, event: WorkerEvent): void {
    for (const effect of worker.machine.step({ ...event, nowMs: 0 })) this.#performWorker(worker, effect)
    worker.machine.validate()
  }

  #performWorker(worker: SimulatedWorker, effect: WorkerEffect): void {
    switch (effect.type) {
      case 'run':
        assert(worker.threads[effect.thread]!.length === 0, 'a thread is given work when it is idle')
        worker.threads[effect.thread] = [...effect.tasks]
        return
      case 'send':
        worker.toLeader.push({ results: [...effect.outcomes] })
        return
      case 'restartThread':
        worker.threads[effect.thread] = []
    }
  }

  #choose<T>(from: readonly T[]): T {
    return from[Math.floor(this.#options.random() * from.length)]!
  }

  #note(what: string): void {
    this.history.push(what)
  }
}
