import { ZooKeeper, type ConnectOptions, type ConnectTarget } from '@conclave/client'
import * as cluster from '@conclave/cluster'
import { defaultDataFolder } from './default-data-folder.ts'
import { EmbeddedEngine } from './embedded-engine.ts'
import { threadImportsFor } from './thread-imports.ts'

const SCHEME = 'embedded:'

/**
 * Makes sense of a connect string: `embedded:DIR` is the embedded server on that folder, relative to the working
 * directory; nothing at all is the embedded server on the project's own folder (`defaultDataFolder`); anything else
 * is for the client.
 */
export function resolveTarget(connect?: ConnectTarget): ConnectTarget {
  if (connect === undefined) return new EmbeddedEngine(defaultDataFolder())
  if (typeof connect !== 'string' || !connect.startsWith(SCHEME)) return connect
  const folder = connect.slice(SCHEME.length)
  return new EmbeddedEngine(folder === '' ? defaultDataFolder() : folder)
}

/** `ZooKeeper.connect`, which also takes `embedded:DIR`, and nothing for the project's own embedded server. */
export function connect(target?: ConnectTarget, options?: ConnectOptions): Promise<ZooKeeper> {
  return ZooKeeper.connect(resolveTarget(target), options)
}

/**
 * `joinCluster` of `@conclave/cluster`, with `embedded:DIR` and a default for `connect`, and with task modules that may
 * be TypeScript.
 */
export function joinCluster(options: WithDefaultConnect<cluster.JoinOptions>): Promise<cluster.ClusterNode> {
  const loaders = threadImportsFor([options.tasks ?? []].flat())
  return cluster.joinCluster({
    ...options,
    connect: resolveTarget(options.connect),
    threadImports: [...loaders, ...(options.threadImports ?? [])],
  })
}

/** `connectCluster` of `@conclave/cluster`, with `embedded:DIR` and a default for `connect`. */
export function connectCluster<Tasks = cluster.AnyTaskModule>(
  options: WithDefaultConnect<cluster.ConnectionOptions> = {},
): Promise<cluster.Cluster<Tasks>> {
  return cluster.connectCluster<Tasks>({ ...options, connect: resolveTarget(options.connect) })
}

/** `startAgent` of `@conclave/cluster`, with `embedded:DIR` and a default for `connect`. */
export function startAgent(options: WithDefaultConnect<cluster.AgentOptions>): Promise<cluster.Agent> {
  return cluster.startAgent({ ...options, connect: resolveTarget(options.connect) })
}

/** The same options with `connect` optional. */
export type WithDefaultConnect<Options extends { readonly connect: ConnectTarget }> = Omit<
  Options,
  'connect'
> & {
  readonly connect?: ConnectTarget
}
