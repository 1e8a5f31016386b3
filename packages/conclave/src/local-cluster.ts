import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { Agent } from '@conclave/cluster'
import { ConclaveError, UsageError, type Logger } from '@conclave/core'
import { resolveTarget } from './connect.ts'
import { EmbeddedEngine } from './embedded-engine.ts'
import { builtModule } from './built-module.ts'
import type { NodeArguments } from './node-main.ts'

export interface LocalClusterOptions {
  /** How many nodes to keep alive on this machine. Default 4. */
  readonly nodes?: number
  /** Default: the embedded server on `dataDir`. */
  readonly connect?: string
  /** The folder of the embedded server. Default: the project's own (`defaultDataFolder`). Not with `connect`. */
  readonly dataDir?: string
  /** Default `default`. */
  readonly cluster?: string
  /** The modules with the tasks, JavaScript or TypeScript. */
  readonly tasks: URL | readonly URL[]
  /** The task threads of each node. Default: one for every processor, shared out among the nodes, at least 1. */
  readonly slots?: number
  /** Default 10,000 ms. */
  readonly sessionTimeoutMs?: number
  /** Default: silent. */
  readonly logger?: Logger
  /** Ends the start. */
  readonly signal?: AbortSignal
}

/** A cluster on this machine: an agent in this process and the nodes that it keeps alive, each a process. */
export interface LocalCluster {
  /** For other processes of this machine: what to connect to. */
  readonly connect: string
  readonly cluster: string
  readonly agent: Agent
  /** Ends the nodes in order. An embedded server that was started for them ends by itself, 30 s later. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** A process that ends this often before any node came up will not come up. */
const MAX_FAILED_STARTS = 3

/**
 * Starts nodes on this machine, and the embedded server where it is needed and does not run yet. Resolves when the
 * first node is a member of the cluster; rejects with `UsageError` when the nodes cannot work with these options, as
 * with a task module that does not exist.
 */
export async function startLocalCluster(options: LocalClusterOptions): Promise<LocalCluster> {
  if (options.connect !== undefined && options.dataDir !== undefined) {
    throw new UsageError('`connect` names the servers and `dataDir` starts one: pass only one of them')
  }
  const target = resolveTarget(options.connect ?? `embedded:${options.dataDir ?? ''}`)
  const connect = target instanceof EmbeddedEngine ? `embedded:${target.folder}` : (target as string)
  const cluster = options.cluster ?? 'default'
  const tasks = [options.tasks].flat()
  const nodes = options.nodes ?? 4
  const nodeArguments: NodeArguments = {
    connect,
    cluster,
    tasks: tasks.map(url => url.href),
    slots: options.slots ?? Math.max(1, Math.floor(availableParallelism() / nodes)),
    sessionTimeoutMs: options.sessionTimeoutMs ?? 10_000,
  }
  const stopped = new AbortController()
  const signal = AbortSignal.any([stopped.signal, ...(options.signal === undefined ? [] : [options.signal])])
  // Asked before the agent asks: so that a folder that cannot be used is told at once, in the server's own words.
  const serverUp = target instanceof EmbeddedEngine ? target.resolve(signal) : undefined
  const agent = new Agent({
    connect: target,
    cluster,
    nodes,
    program: fileURLToPath(builtModule('node-main')),
    args: [JSON.stringify(nodeArguments)],
    ...(options.sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs: options.sessionTimeoutMs }),
    ...(options.logger === undefined ? {} : { logger: options.logger }),
  })
  const close = (): Promise<void> => agent.close()
  try {
    await Promise.all([serverUp, agent.start(signal), firstNodeUp(agent, signal)])
  } catch (error) {
    stopped.abort(error)
    await close()
    // A server that is just being started can be found, and stopped, by whoever asked for it.
    await serverUp?.catch(() => {})
    throw error
  }
  return { connect, cluster, agent, close, [Symbol.asyncDispose]: close }
}

/** Rejects when no node will ever come up: `UsageError` where a node said why. */
function firstNodeUp(agent: Agent, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (outcome: () => void): void => {
      for (const off of listeners) off()
      signal.removeEventListener('abort', onAbort)
      outcome()
    }
    const onAbort = (): void => settle(() => reject(signal.reason as Error))
    const listeners = [
      agent.on('node', node => node.state === 'up' && settle(resolve)),
      agent.on('unusable', ({ message }) => settle(() => reject(new UsageError(message)))),
      agent.on('exited', ({ place, error }) => {
        if (error !== undefined) return settle(() => reject(error))
        const failedStarts = (agent.nodes()[place]?.restarts ?? 0) + 1
        if (failedStarts < MAX_FAILED_STARTS) return
        const message = `the nodes end as soon as they start (${failedStarts} times in a row): see their messages`
        settle(() => reject(new ConclaveError(message, { code: 'NODES_DO_NOT_START' })))
      }),
    ]
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
}
