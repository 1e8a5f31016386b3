import { ZooKeeper } from '@conclave/client'
import { Lifecycle, orAborted, UsageError } from '@conclave/core'
import { ServiceRegistry } from '@conclave/discovery'
import { Budget, DEFAULT_BUDGET_BYTES } from './jobs/budget.ts'
import { StoredJob, type Job } from './jobs/job.ts'
import { CorruptJobError, decodeJobRecord, type JobRecord } from './jobs/job-record.ts'
import { checkSpecification, submitJob } from './jobs/job-submission.ts'
import { WORKERS_SERVICE } from './layout.ts'
import type { WorkerPayload } from './node/node.ts'
import { currentLeader, observeLeader, type LeaderInfo } from './observe-leader.ts'
import { resolveConnection, type ConnectionOptions, type ResolvedConnection } from './node/options.ts'
import type { AnyTaskModule, TaskInput, TaskName, TaskOutput } from './task.ts'

export interface SubmitOptions {
  /** How often a task is tried before it is recorded as failed. Default 3. With 1 the loss of a worker is a failure too. */
  readonly maxAttempts?: number
  /** How long the finished job, and its results, are kept. Default one hour. */
  readonly retentionMs?: number
  /** The submission waits while all jobs together hold more than this on the servers. Default 256 MiB. */
  readonly budgetBytes?: number
  /** Ends the submission; what was handed over by then is taken back. */
  readonly signal?: AbortSignal
}

/** A node that works, as it says of itself. */
export interface WorkerInfo extends WorkerPayload {
  readonly nodeId: string
  readonly address: string
  readonly port: number
}

/** A process that keeps nodes of one host alive. */
export interface AgentInfo {
  readonly agentId: string
  readonly host: string
  readonly pid: number
}

/** A job as it is recorded. */
export interface JobInfo extends JobRecord {
  readonly id: string
}

/** What there is in a cluster at one moment. */
export interface ClusterStatus {
  readonly cluster: string
  readonly leader: LeaderInfo | null
  readonly workers: readonly WorkerInfo[]
  readonly agents: readonly AgentInfo[]
  /** The oldest first. */
  readonly jobs: readonly JobInfo[]
}

/** A cluster as its users see it: a place to hand jobs to. */
export interface Cluster<Tasks = AnyTaskModule> {
  readonly zk: ZooKeeper
  /**
   * Hands over a job: one task per input. It is durable once this resolves, and runs whatever becomes of this process.
   * `task` is a function's name, or `module#function` where several modules have one of that name. Inputs are read one
   * by one, so they may come from a stream. Throws `JobInputError`, `UsageError`, and the client's errors.
   */
  submit<Name extends TaskName<Tasks>>(
    task: Name | `${string}#${Name}`,
    inputs: Iterable<TaskInput<Tasks, Name>> | AsyncIterable<TaskInput<Tasks, Name>>,
    options?: SubmitOptions,
  ): Promise<Job<TaskOutput<Tasks, Name>>>
  /** A job by its id. Throws `JobNotFoundError`. */
  job<Output = unknown>(id: string): Promise<Job<Output>>
  status(): Promise<ClusterStatus>
  /** The leader now, and each one after it; `null` while there is none. */
  observeLeader(signal?: AbortSignal): AsyncIterableIterator<LeaderInfo | null>
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Connects to a cluster without becoming a node of it. Nothing is written until a job is submitted. */
export async function connectCluster<Tasks = AnyTaskModule>(
  options: ConnectionOptions,
): Promise<Cluster<Tasks>> {
  const resolved = resolveConnection(options)
  const zk = await ZooKeeper.connect(resolved.connect, resolved.session)
  return new ConnectedCluster<Tasks>(zk, options.cluster ?? 'default', resolved)
}

class ConnectedCluster<Tasks> implements Cluster<Tasks> {
  readonly zk: ZooKeeper
  readonly #name: string
  readonly #options: ResolvedConnection
  readonly #lifecycle: Lifecycle
  readonly #budget: Budget

  constructor(zk: ZooKeeper, name: string, options: ResolvedConnection) {
    this.zk = zk
    this.#name = name
    this.#options = options
    this.#budget = new Budget(zk, options.layout)
    this.#lifecycle = new Lifecycle(`the connection to cluster ${name}`)
    this.#lifecycle.start()
  }

  async submit<Name extends TaskName<Tasks>>(
    task: Name | `${string}#${Name}`,
    inputs: Iterable<TaskInput<Tasks, Name>> | AsyncIterable<TaskInput<Tasks, Name>>,
    options: SubmitOptions = {},
  ): Promise<Job<TaskOutput<Tasks, Name>>> {
    this.#lifecycle.assertOpen()
    const {
      maxAttempts = 3,
      retentionMs = 3_600_000,
      budgetBytes = DEFAULT_BUDGET_BYTES,
      signal,
      ...unknown
    } = options
    for (const name of Object.keys(unknown)) throw new UsageError(`submit has no option '${name}'`)
    const specification = { task, maxAttempts, retentionMs }
    checkSpecification(specification)
    const { layout, platform } = this.#options
    await orAborted(this.zk.ensurePath(layout.jobs), signal)
    await this.#budget.awaitRoom(budgetBytes, signal)
    const context = { zk: this.zk, layout, clock: platform.clock, random: platform.random, signal }
    return new StoredJob(this.zk, layout, await submitJob(context, specification, inputs))
  }

  async job<Output>(id: string): Promise<Job<Output>> {
    this.#lifecycle.assertOpen()
    const { layout } = this.#options
    const { taskCount } = await new StoredJob(this.zk, layout, { jobId: id, taskCount: 0 }).record()
    return new StoredJob(this.zk, layout, { jobId: id, taskCount })
  }

  async status(): Promise<ClusterStatus> {
    const [leader, workers, agents, jobs] = await Promise.all([
      currentLeader(this.zk, this.#options.layout),
      this.#workers(),
      this.#agents(),
      this.#jobs(),
    ])
    return { cluster: this.#name, leader, workers, agents, jobs }
  }

  observeLeader(signal?: AbortSignal): AsyncIterableIterator<LeaderInfo | null> {
    return observeLeader(this.zk, this.#options.layout, signal)
  }

  close(): Promise<void> {
    return this.#lifecycle.close(() => this.zk.close())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #workers(): Promise<WorkerInfo[]> {
    const registry = new ServiceRegistry(this.zk, this.#options.layout.root)
    const found = await registry.list(WORKERS_SERVICE)
    return found
      .map(({ id, address, port, payload }) => {
        return { nodeId: id, address, port: port ?? 0, ...(payload as WorkerPayload) }
      })
      .sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1))
  }

  async #agents(): Promise<AgentInfo[]> {
    const found = await this.#readAll(this.#options.layout.agents)
    return found.map(({ name, data }) => ({
      agentId: name,
      ...(JSON.parse(String(data)) as Omit<AgentInfo, 'agentId'>),
    }))
  }

  async #jobs(): Promise<JobInfo[]> {
    const { layout } = this.#options
    const found = await this.#readAll(layout.jobs)
    return found
      .flatMap(({ name, data }) => toJobInfo(name, data, layout.job(name)))
      .sort((a, b) => a.submittedAtMs - b.submittedAtMs)
  }

  /** The children of a znode with their data, without those that go while they are read. */
  async #readAll(folder: string): Promise<{ name: string; data: Buffer | null }[]> {
    if ((await this.zk.exists(folder)) === null) return []
    const { children } = await this.zk.getChildren(folder)
    const reads = await Promise.allSettled(children.map(name => this.zk.getData(`${folder}/${name}`)))
    return reads.flatMap((read, i) =>
      read.status === 'fulfilled' ? [{ name: children[i]!, data: read.value.data }] : [],
    )
  }
}

/** None for what is no job: one broken record must not hide the others. */
function toJobInfo(id: string, data: Buffer | null, path: string): JobInfo[] {
  try {
    return [{ id, ...decodeJobRecord(data, path) }]
  } catch (error) {
    if (error instanceof CorruptJobError) return []
    throw error
  }
}
