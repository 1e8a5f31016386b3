import { availableParallelism } from 'node:os'
import type { AuthInfo, ConnectOptions, ConnectTarget } from '@conclave/client'
import { nodePlatform, silentLogger, UsageError, uuid, type Logger, type Platform } from '@conclave/core'
import { pathProblem } from '@conclave/protocol'
import { ClusterLayout } from '../layout.ts'

/** How long a process that ends looks for a server to tell; the servers find out without it, after the session timeout. */
export const CLOSE_TIMEOUT_MS = 1_000

/** What a process needs to reach a cluster's servers. `sasl`, `tls` and `maxStallMs` are those of the client. */
export interface ConnectionOptions extends Pick<ConnectOptions, 'sasl' | 'tls' | 'maxStallMs'> {
  /** The ZooKeeper servers, `host:port,host:port/chroot`, or an object that finds them. */
  readonly connect: ConnectTarget
  /** The cluster's name: several can live on the same servers. Default `default`. */
  readonly cluster?: string
  /** How long the servers wait for a process that fell silent before it counts as dead. Default 10,000 ms. */
  readonly sessionTimeoutMs?: number
  /** Identities towards the servers. With any, or with `sasl`, the cluster's secret is readable only with the same. */
  readonly auth?: readonly AuthInfo[]
  /** Default: silent. */
  readonly logger?: Logger
  /** Stand-ins for clock, network and randomness. Default Node.js's own. */
  readonly platform?: Partial<Platform>
  /** Ends the attempt to connect, or to join. */
  readonly signal?: AbortSignal
}

/** What a process needs to become a node of a cluster. */
export interface JoinOptions extends ConnectionOptions {
  /**
   * Task modules: their exported functions are the tasks that this node can run, by the name `module#function`, where
   * `module` is the file's name without its ending. Default none: the node can lead and cannot work.
   */
  readonly tasks?: URL | readonly URL[]
  /** Modules that each task thread imports before them, as `node --import` does. Default none. */
  readonly threadImports?: readonly string[]
  /** Unique in the cluster: one that a living node has is refused. Default a random one. */
  readonly nodeId?: string
  /** How many tasks run at one time, each in a thread. Default one per core. */
  readonly slots?: number
  /** The address to listen on for leaders. Default `127.0.0.1`: nodes on other hosts need one that they can reach. */
  readonly host?: string
  /** The address that leaders are told to connect to. Default `host`; needed where that means every address. */
  readonly advertisedHost?: string
  /** Default 0: any that is free. */
  readonly port?: number
}

export interface ResolvedConnection {
  readonly connect: ConnectTarget
  readonly layout: ClusterLayout
  /** For `ZooKeeper.connect`. */
  readonly session: ConnectOptions
  /** Whether the session proves an identity that access to the cluster's secret can be tied to. */
  readonly isIdentified: boolean
  readonly logger: Logger
  readonly platform: Platform
  readonly signal: AbortSignal | undefined
}

export interface ResolvedJoin extends ResolvedConnection {
  readonly modules: readonly URL[]
  readonly threadImports: readonly string[]
  readonly nodeId: string
  /** Whether the caller chose the id: a random one is nobody else's. */
  readonly isIdGiven: boolean
  readonly slots: number
  readonly host: string
  readonly advertisedHost: string
  readonly port: number
}

/** Those that the process's session is made with, as they are. */
const SESSION_OPTIONS = [
  'sessionTimeoutMs',
  'auth',
  'sasl',
  'tls',
  'maxStallMs',
  'logger',
  'platform',
  'signal',
] as const
const CONNECTION_OPTIONS = ['connect', 'cluster', ...SESSION_OPTIONS]
const JOIN_OPTIONS = [
  ...CONNECTION_OPTIONS,
  'tasks',
  'threadImports',
  'nodeId',
  'slots',
  'host',
  'advertisedHost',
  'port',
]

/** Throws `UsageError` for an unknown option and for a value that can never work. */
export function resolveConnection(options: ConnectionOptions): ResolvedConnection {
  rejectUnknown(options, CONNECTION_OPTIONS)
  return withDefaults(options)
}

/** Likewise. */
export function resolveJoin(options: JoinOptions): ResolvedJoin {
  rejectUnknown(options, JOIN_OPTIONS)
  const connection = withDefaults(options)
  const { tasks = [], threadImports = [], host = '127.0.0.1', port = 0 } = options
  const { advertisedHost = host } = options
  const nodeId = options.nodeId ?? `node-${uuid(connection.platform.random).slice(0, 8)}`
  const slots = options.slots ?? availableParallelism()
  if (!Number.isInteger(slots) || slots < 1)
    throw new UsageError(`slots is ${slots}; it must be a whole number from 1`)
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw new UsageError(`${port} is not a port (0 to 65535)`)
  if (nodeId === '' || pathProblem(`/${nodeId}`) !== undefined || nodeId.includes('/'))
    throw new UsageError(`'${nodeId}' cannot be the id of a node`)
  if (advertisedHost === '0.0.0.0' || advertisedHost === '::') {
    throw new UsageError(
      `nobody can connect to ${advertisedHost}; name this host's own address as advertisedHost`,
    )
  }
  const isIdGiven = options.nodeId !== undefined
  const modules = [tasks].flat()
  return { ...connection, modules, threadImports, nodeId, isIdGiven, slots, host, advertisedHost, port }
}

function withDefaults(options: ConnectionOptions): ResolvedConnection {
  const { connect, cluster = 'default', auth = [], sasl, logger = silentLogger, signal } = options
  return {
    connect,
    layout: new ClusterLayout(cluster),
    session: sessionOptions(options),
    isIdentified: auth.length > 0 || sasl !== undefined,
    logger,
    platform: { ...nodePlatform, ...options.platform },
    signal,
  }
}

/** What `ZooKeeper.connect` is to be given. */
export function sessionOptions(
  options: Pick<ConnectionOptions, (typeof SESSION_OPTIONS)[number]>,
): ConnectOptions {
  const given = SESSION_OPTIONS.filter(name => options[name] !== undefined)
  return {
    ...Object.fromEntries(given.map(name => [name, options[name]])),
    closeTimeoutMs: CLOSE_TIMEOUT_MS,
  }
}

function rejectUnknown(options: object, known: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (!known.includes(name))
      throw new UsageError(`there is no option '${name}'; there are ${known.join(', ')}`)
  }
}
