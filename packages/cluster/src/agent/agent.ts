import { hostname } from 'node:os'
import { closeSession, ZooKeeper, type ConnectTarget, type SessionCredentials } from '@conclave/client'
import {
  Backoff,
  ClosedError,
  codeOf,
  Lifecycle,
  messageOf,
  nodePlatform,
  silentLogger,
  sleep,
  TypedEmitter,
  uuid,
  withFields,
  type Logger,
  type Platform,
  type Timer,
} from '@conclave/core'
import { ClusterLayout } from '../layout.ts'
import { sessionOptions, type ConnectionOptions } from '../node/options.ts'
import { AgentRegistration, type AgentRecord } from './agent-registration.ts'
import { USAGE_EXIT_CODE, type AgentMessage } from './agent-messages.ts'
import { HealerMachine, type HealerDecision, type HealerEvent, type HealerOptions } from './healer-machine.ts'
import { NodeProcess, type NodeExit, type NodeProgram } from './node-process.ts'

/** The options of a connection are for the agent's own session. */
export interface AgentOptions extends NodeProgram, ConnectionOptions {
  /** How many nodes to keep alive on this host. */
  readonly nodes: number
  /** The name of the agent's znode. Default: the host name, the pid and a random part. */
  readonly agentId?: string
  /** How long a node may take to end in order before it is killed. Default 5,000 ms. */
  readonly graceMs?: number
  /** When and how often nodes are started again. */
  readonly healing?: HealerOptions
}

/** One place of an agent, and the node in it. */
export interface AgentNode {
  readonly place: number
  /**
   * `starting`: the process runs and has not joined yet. `up`: a member of the cluster. `down`: the process is gone,
   * another one follows. `unusable`: it said that it can never work as it was started, and none follows.
   */
  readonly state: 'starting' | 'up' | 'down' | 'unusable'
  readonly pid?: number
  readonly nodeId?: string
  readonly role?: 'leader' | 'worker'
  /** Only of a leader. */
  readonly fencingToken?: bigint
  /** How many processes were started at this place after the first. */
  readonly restarts: number
}

/** What an agent tells, by the name of the event. */
export interface AgentEvents {
  /** A place changed: its state, or the role of its node. */
  node: AgentNode
  /** A process ended, and its session, if it had one, was closed (`false`: it was gone already, or out of reach). */
  exited: { readonly place: number; readonly pid?: number; readonly sessionClosed: boolean } & NodeExit
  /** A node cannot work as it was started: the reason, as it gave it. */
  unusable: { readonly place: number; readonly message: string }
  decision: HealerDecision
}

/** The longest wait for the end of a dead node's session before its successor is started anyway. */
const MAX_HAND_OVER_MS = 1_000

/**
 * Starts an agent: it keeps `nodes` processes of `program` alive on this host and closes the session of each that
 * dies, so that the others need not wait for the session timeout. Resolves when the agent is registered in the
 * cluster; its nodes are being started from the first moment.
 */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const agent = new Agent(options)
  try {
    await agent.start(options.signal)
  } catch (error) {
    await agent.close()
    throw error
  }
  return agent
}

interface Place {
  node: AgentNode
  process: NodeProcess | undefined
  session: SessionCredentials | undefined
  message: string | undefined
}

/** See `startAgent`. */
export class Agent {
  /** The name of its znode. */
  readonly id: string
  readonly #options: AgentOptions
  readonly #platform: Platform
  readonly #logger: Logger
  readonly #layout: ClusterLayout
  readonly #healer: HealerMachine
  readonly #places = new Map<number, Place>()
  readonly #emitter = new TypedEmitter<AgentEvents>()
  readonly #lifecycle = new Lifecycle('the agent')
  readonly #closing = new AbortController()
  /** The hand-overs that are under way: each ends a dead node's session. */
  readonly #handOvers = new Set<Promise<unknown>>()
  #timer: Timer | undefined
  #zk: ZooKeeper | undefined
  #registration: AgentRegistration | undefined

  constructor(options: AgentOptions) {
    this.#options = options
    this.#platform = { ...nodePlatform, ...options.platform }
    this.id = options.agentId ?? `${hostname()}-${process.pid}-${uuid(this.#platform.random).slice(0, 8)}`
    this.#logger = withFields(options.logger ?? silentLogger, { agent: this.id })
    this.#layout = new ClusterLayout(options.cluster ?? 'default')
    this.#healer = new HealerMachine(this.#platform.random, options.healing)
  }

  /** Starts the nodes, and resolves when the agent is registered. */
  async start(signal?: AbortSignal): Promise<void> {
    this.#lifecycle.start()
    this.#step({ type: 'desired', count: this.#options.nodes })
    const zk = await ZooKeeper.connect(this.#options.connect, {
      ...sessionOptions(this.#options),
      logger: this.#logger,
      ...(signal === undefined ? {} : { signal }),
    })
    if (this.#lifecycle.state !== 'started') {
      await zk.close()
      throw new ClosedError('the agent')
    }
    this.#zk = zk
    this.#registration = new AgentRegistration(zk, this.#layout, this.id, this.#record(), this.#logger)
    await this.#registration.settled
  }

  /** Every place, in order. */
  nodes(): readonly AgentNode[] {
    return [...this.#places.values()].map(({ node }) => node)
  }

  /** Calls back at each such event; the function returned ends that. */
  on<Name extends keyof AgentEvents>(name: Name, listener: (event: AgentEvents[Name]) => void): () => void {
    return this.#emitter.on(name, listener)
  }

  /** Ends every node in order, those that do not end by force, and then the agent's own session. */
  close(): Promise<void> {
    return this.#lifecycle.close(async () => {
      this.#timer?.cancel()
      const running = [...this.#places.values()].filter(place => place.process !== undefined)
      const ends = running.map(
        place =>
          new Promise<void>(resolve =>
            this.#emitter.on('exited', e => e.place === place.node.place && resolve()),
          ),
      )
      for (const place of running) place.process!.stop(this.#options.graceMs ?? 5_000)
      await Promise.all(ends)
      this.#closing.abort(new ClosedError('the agent'))
      await Promise.all(this.#handOvers)
      await this.#registration?.close()
      await this.#zk?.close()
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #step(event: HealerEvent): void {
    if (this.#lifecycle.state !== 'started') return
    for (const effect of this.#healer.step({ ...event, nowMs: this.#platform.clock.nowMs() })) {
      switch (effect.type) {
        case 'launch':
          this.#launch(effect.place)
          break
        case 'stop':
          this.#places.get(effect.place)?.process?.stop(this.#options.graceMs ?? 5_000)
          break
        case 'wake':
          this.#timer?.cancel()
          this.#timer = this.#platform.clock.setTimer(
            Math.max(0, effect.atMs - this.#platform.clock.nowMs()),
            () => this.#step({ type: 'woke' }),
          )
          break
        case 'decided':
          this.#logger.log('info', `healer: ${effect.decision} at place ${effect.place}: ${effect.reason}`)
          this.#emitter.emit('decision', effect)
          break
      }
    }
  }

  #launch(index: number): void {
    const restarts = (this.#places.get(index)?.node.restarts ?? -1) + 1
    const place: Place = {
      node: { place: index, state: 'starting', restarts },
      process: undefined,
      session: undefined,
      message: undefined,
    }
    this.#places.set(index, place)
    place.process = new NodeProcess(this.#options, this.#platform.clock, {
      onMessage: message => this.#onMessage(place, message),
      onExit: exit => this.#onExit(place, exit),
    })
    const { pid } = place.process
    this.#change(place, pid === undefined ? {} : { pid })
  }

  #onMessage(place: Place, message: AgentMessage): void {
    switch (message.type) {
      case 'session':
        place.session = {
          sessionId: BigInt.asIntN(64, BigInt(message.sessionId)),
          sessionPassword: Buffer.from(message.sessionPassword, 'hex'),
        }
        break
      case 'role': {
        const { fencingToken: _old, ...node } = place.node
        const { nodeId, role, fencingToken } = message
        place.node = node
        this.#change(place, {
          state: 'up',
          nodeId,
          role,
          ...(fencingToken === undefined ? {} : { fencingToken: BigInt(fencingToken) }),
        })
        this.#step({ type: 'reported', place: place.node.place })
        break
      }
      case 'unusable':
        place.message = message.message
        break
    }
  }

  /** The order matters: until the dead node's session is closed, the cluster may be without a leader. */
  #onExit(place: Place, exit: NodeExit): void {
    const handOver = this.#endSession(place.session)
    const { place: index, pid, restarts } = place.node
    place.process = undefined
    const isUsage = exit.code === USAGE_EXIT_CODE
    place.node = { place: index, state: isUsage ? 'unusable' : 'down', restarts }
    this.#change(place, {})
    this.#track(handOver)
    this.#track(
      Promise.race([handOver, this.#afterHandOverTime()]).then(sessionClosed => {
        const { code, signal } = exit
        this.#logger.log('info', 'a node has ended', { place: index, pid, code, signal, sessionClosed })
        this.#step({ type: 'exited', place: index, how: isUsage ? 'usage' : 'died' })
        if (isUsage) {
          const message =
            place.message ?? `the process at place ${index} ended with exit code ${USAGE_EXIT_CODE}`
          this.#emitter.emit('unusable', { place: index, message })
        }
        this.#emitter.emit('exited', {
          place: index,
          ...(pid === undefined ? {} : { pid }),
          sessionClosed,
          ...exit,
        })
      }),
    )
  }

  #track(handOver: Promise<unknown>): void {
    this.#handOvers.add(handOver)
    void handOver.finally(() => this.#handOvers.delete(handOver))
  }

  #afterHandOverTime(): Promise<false> {
    return new Promise(resolve =>
      this.#platform.clock.setTimer(MAX_HAND_OVER_MS, () => resolve(false), { unref: true }),
    )
  }

  /** Closes a session for its dead owner. Never rejects; `false` when it was gone already or stayed out of reach. */
  async #endSession(session: SessionCredentials | undefined): Promise<boolean> {
    if (session === undefined) return false
    const options = sessionOptions(this.#options)
    const backoff = new Backoff(this.#platform.random)
    const endMs = this.#platform.clock.nowMs() + (this.#options.sessionTimeoutMs ?? 10_000)
    // First the server that this agent's own session is on: its address is known, and it was alive a moment ago.
    let target = this.#nearestServer() ?? this.#options.connect
    while (this.#platform.clock.nowMs() < endMs) {
      try {
        return await closeSession(target, session, { ...options, signal: this.#closing.signal })
      } catch (error) {
        this.#logger.log('warn', "a dead node's session could not be closed yet", { error: messageOf(error) })
        if (this.#closing.signal.aborted || codeOf(error) === 'AUTH_FAILED') return false
      }
      target = this.#options.connect
      await sleep(this.#platform.clock, backoff.nextDelayMs(), this.#closing.signal).catch(() => {})
    }
    return false
  }

  #nearestServer(): ConnectTarget | undefined {
    const endpoint = this.#zk?.endpoint
    return endpoint === undefined ? undefined : { resolve: () => Promise.resolve([endpoint]) }
  }

  #change(place: Place, change: Partial<AgentNode>): void {
    place.node = { ...place.node, ...change }
    this.#emitter.emit('node', place.node)
    this.#registration?.update(this.#record())
  }

  #record(): AgentRecord {
    const nodes = this.nodes().flatMap(({ nodeId }) => (nodeId === undefined ? [] : [nodeId]))
    return { host: hostname(), pid: process.pid, capacity: this.#options.nodes, nodes }
  }
}
