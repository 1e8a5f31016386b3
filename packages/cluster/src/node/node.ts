import { ZooKeeper } from '@conclave/client'
import {
  Backoff,
  deferred,
  formatEndpoint,
  Lifecycle,
  messageOf,
  orAborted,
  sleep,
  TypedEmitter,
  UsageError,
  withFields,
  type Deferred,
  type Endpoint,
  type Logger,
} from '@conclave/core'
import { ServiceRegistry, type Registration, type ServiceCache } from '@conclave/discovery'
import { LeaderElection, type Lease } from '@conclave/recipes'
import { agentChannel } from '../agent/agent-channel.ts'
import { WORKERS_SERVICE } from '../layout.ts'
import { Leader } from '../leader/leader.ts'
import { isNodeAt } from '../link/probe.ts'
import { currentLeader } from '../observe-leader.ts'
import { clusterSecret } from '../secret.ts'
import { Worker } from '../worker/worker.ts'
import { resolveJoin, type JoinOptions, type ResolvedJoin } from './options.ts'

/** What a node does: one leads, the others work. */
export type NodeRole = 'worker' | 'leader'

/** What a node does from now on. */
export interface RoleChange {
  readonly role: NodeRole
  /** Of a leader: its term, a number that only grows. */
  readonly fencingToken?: bigint
}

/** What other processes see of a worker in the registry. */
export interface WorkerPayload {
  readonly slots: number
  readonly tasks: readonly string[]
  readonly pid: number
}

/** What other processes see of a candidate. */
export interface CandidateData {
  readonly nodeId: string
  readonly pid: number
  /** Where it can be reached, as while it was a worker. */
  readonly endpoint: Endpoint
}

/** This process as a member of a cluster. */
export interface ClusterNode {
  readonly id: string
  readonly role: NodeRole
  /** Where leaders reach it. */
  readonly endpoint: Endpoint
  /** The names of the tasks that it can run. */
  readonly tasks: readonly string[]
  readonly zk: ZooKeeper
  /** Calls back at each change of role; the function returned ends that. */
  on(name: 'role', listener: (change: RoleChange) => void): () => void
  /** Settles when the node has left the cluster; rejects with the reason where that was not `close`. */
  readonly closed: Promise<void>
  /** Leaves the cluster in order: what it had in hand goes to others. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Makes this process a node of a cluster: it runs tasks while it is a worker, and hands them out while it is the
 * leader. Resolves once it belongs to the cluster. Throws `UsageError`, `TaskModuleError`, and the client's errors
 * where no server can be reached.
 */
export async function joinCluster(options: JoinOptions): Promise<ClusterNode> {
  const node = new MemberNode(resolveJoin(options))
  try {
    await orAborted(node.start(), options.signal)
  } catch (error) {
    await node.close()
    throw error
  }
  return node
}

/** Between terms that ended because the leader could not go on. */
const TERM_BACKOFF = { baseMs: 200, maxMs: 5_000 }

class MemberNode implements ClusterNode {
  readonly #options: ResolvedJoin
  readonly #logger: Logger
  readonly #lifecycle: Lifecycle
  readonly #events = new TypedEmitter<{ role: RoleChange }>()
  readonly #resigning = new AbortController()
  readonly #closed: Deferred<void> = deferred<void>()
  #zk: ZooKeeper | undefined
  #worker: Worker | undefined
  #secret: Uint8Array = new Uint8Array()
  #registry: ServiceRegistry | undefined
  #registration: Registration | undefined
  #campaigning: Promise<void> | undefined
  #role: NodeRole = 'worker'

  constructor(options: ResolvedJoin) {
    this.#options = options
    this.#logger = withFields(options.logger, { nodeId: options.nodeId })
    this.#lifecycle = new Lifecycle(`node ${options.nodeId}`)
    // Whoever does not ask for the end need not handle it; it is logged in any case.
    this.#closed.promise.catch(() => {})
  }

  get id(): string {
    return this.#options.nodeId
  }

  get role(): NodeRole {
    return this.#role
  }

  get endpoint(): Endpoint {
    return { host: this.#options.advertisedHost, port: this.#worker!.endpoint.port }
  }

  get tasks(): readonly string[] {
    return this.#worker!.tasks
  }

  get zk(): ZooKeeper {
    return this.#zk!
  }

  get closed(): Promise<void> {
    return this.#closed.promise
  }

  on(name: 'role', listener: (change: RoleChange) => void): () => void {
    return this.#events.on(name, listener)
  }

  async start(): Promise<void> {
    this.#lifecycle.start()
    const { connect, layout, session, isIdentified, logger, platform, nodeId } = this.#options
    const zk = await ZooKeeper.connect(connect, session)
    this.#zk = zk
    this.#tellAgent(zk)
    await Promise.all([zk.ensurePath(layout.jobs), zk.ensurePath(layout.agents)])
    this.#secret = await clusterSecret(zk, layout, platform.random, isIdentified)
    this.#worker = new Worker({
      platform,
      logger,
      workerId: nodeId,
      listen: { host: this.#options.host, port: this.#options.port },
      secret: this.#secret,
      slots: this.#options.slots,
      modules: this.#options.modules,
      imports: this.#options.threadImports,
    })
    await this.#worker.start()
    this.#registry = new ServiceRegistry(zk, layout.root)
    if (this.#options.isIdGiven) await this.#refuseTwin(this.#registry)
    await this.#register()
    // The agent takes a node for a member of the cluster from its first role on.
    agentChannel()?.role({ nodeId, role: 'worker' })
    this.#campaigning = this.#campaign().catch((error: unknown) => this.#fail(error))
  }

  close(): Promise<void> {
    return this.#lifecycle.close(async () => {
      this.#resigning.abort()
      await this.#worker?.close()
      // With the session go the registration and the candidate, whatever else could be said of them to the servers.
      await this.#zk?.close()
      await this.#campaigning
      this.#closed.resolve()
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #fail(error: unknown): void {
    if (this.#resigning.signal.aborted) return
    this.#logger.log('error', 'the node leaves the cluster', { reason: messageOf(error) })
    this.#closed.reject(error)
    this.close().catch((reason: unknown) => this.#logger.log('error', messageOf(reason)))
  }

  /** Two processes of one id would take turns at one place in the registry. A dead one's is free at once. */
  async #refuseTwin(registry: ServiceRegistry): Promise<void> {
    const { layout, nodeId, platform } = this.#options
    const [workers, leader] = await Promise.all([
      registry.list(WORKERS_SERVICE),
      currentLeader(this.zk, layout),
    ])
    const places = workers
      .filter(({ id, port }) => id === nodeId && port !== null)
      .map(({ address, port }) => ({ host: address, port: port! }))
    if (leader?.nodeId === nodeId) places.push(leader.endpoint)
    for (const place of places) {
      if (!(await isNodeAt(platform, place, nodeId))) continue
      throw new UsageError(
        `a node '${nodeId}' is in this cluster already, at ${formatEndpoint(place)}; choose another id`,
      )
    }
  }

  /** The agent closes this session when the process dies. It must know each one that the process has. */
  #tellAgent(zk: ZooKeeper): void {
    const channel = agentChannel()
    if (channel === undefined) return
    channel.session(zk.session)
    // An agent that has gone would neither replace this node nor end it.
    void channel.agentGone.then(() => this.close())
    zk.on('state', change => {
      if (change.state === 'connected' && change.isNewSession) channel.session(zk.session)
    })
    this.on('role', change => channel.role({ nodeId: this.id, ...change }))
  }

  async #register(): Promise<void> {
    const { slots, nodeId } = this.#options
    const { tasks, endpoint } = this
    const payload: WorkerPayload = { slots, tasks, pid: process.pid }
    this.#registration = await this.#registry!.register({
      serviceName: WORKERS_SERVICE,
      id: nodeId,
      address: endpoint.host,
      port: endpoint.port,
      payload,
    })
  }

  /** One term after the other, until the node leaves. */
  async #campaign(): Promise<void> {
    const { layout, nodeId } = this.#options
    const data: CandidateData = { nodeId, pid: process.pid, endpoint: this.endpoint }
    const election = new LeaderElection(this.zk, layout.election, { data: JSON.stringify(data) })
    const { signal } = this.#resigning
    const backoff = new Backoff(this.#options.platform.random, TERM_BACKOFF)
    while (!signal.aborted) {
      let lease: Lease
      try {
        lease = await election.campaign({ signal })
      } catch (error) {
        if (signal.aborted) return
        throw error
      }
      this.#setRole({ role: 'leader', fencingToken: lease.fencingToken })
      let failure: unknown
      try {
        failure = await this.#lead(lease)
      } finally {
        this.#setRole({ role: 'worker' })
        await lease.release()
      }
      if (signal.aborted) return
      await this.#register()
      // What no leader can do must not make them take turns at it as fast as they can.
      if (failure === undefined) backoff.reset()
      else await sleep(this.#options.platform.clock, backoff.nextDelayMs(), signal)
    }
  }

  #setRole(change: RoleChange): void {
    this.#role = change.role
    this.#logger.log('info', `role: ${change.role}`, { fencingToken: change.fencingToken })
    this.#events.emit('role', change)
  }

  /**
   * Resolves when the term is over: because the lease has ended or the node leaves, or to the reason why the leader
   * cannot go on.
   */
  async #lead(lease: Lease): Promise<unknown> {
    const { platform, logger, layout, nodeId } = this.#options
    const over = deferred<unknown>()
    const leader = new Leader({
      platform,
      logger,
      zk: this.zk,
      layout,
      lease,
      secret: this.#secret,
      nodeId,
      self: this.endpoint,
      onFailure: error => {
        this.#logger.log('warn', 'the term ends', { reason: messageOf(error) })
        over.resolve(error)
      },
    })
    const ended = AbortSignal.any([lease.signal, this.#resigning.signal])
    ended.addEventListener('abort', () => over.resolve(undefined), { once: true })
    if (ended.aborted) over.resolve(undefined)
    let workers: ServiceCache | undefined
    try {
      // Each of these may fail with the session, which ends the lease too.
      await Promise.race([over.promise, Promise.all([leader.start(), this.#registration?.unregister()])])
      workers = this.#registry!.instances(WORKERS_SERVICE)
      workers.on('added', worker => leader.workerAdded(worker))
      workers.on('changed', worker => leader.workerAdded(worker))
      workers.on('removed', worker => leader.workerRemoved(worker.id))
      await Promise.race([over.promise, workers.start()])
      return await over.promise
    } catch (error) {
      return lease.signal.aborted ? undefined : error
    } finally {
      leader.close()
      await workers?.close()
    }
  }
}
