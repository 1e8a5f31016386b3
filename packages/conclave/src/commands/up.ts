import type { Agent, AgentNode, Cluster } from '@conclave/cluster'
import { messageOf, UsageError } from '@conclave/core'
import { Command } from 'commander'
import { aborted, interruptSignal } from '../interrupt.ts'
import {
  clusterOption,
  connectOption,
  nodesOption,
  slotsOption,
  tasksOption,
  verboseLogger,
} from '../options.ts'
import { hex, say } from '../output.ts'
import { tellOfServers } from '../tell-of-servers.ts'
import { checkTaskModules, parseTaskModules } from '../task-modules.ts'

interface UpOptions {
  readonly connect?: string
  readonly dataDir?: string
  readonly cluster: string
  readonly nodes: number
  readonly tasks: readonly string[]
  readonly slots?: number
}

/** `conclave up`: a cluster on this machine, in the foreground. */
export function upCommand(): Command {
  return new Command('up')
    .description('run a cluster on this machine until Ctrl-C; nodes that die are replaced')
    .addOption(nodesOption())
    .addOption(tasksOption())
    .addOption(connectOption())
    .option(
      '-d, --data-dir <folder>',
      "the folder of the embedded server; the same as --connect 'embedded:<folder>'",
    )
    .addOption(clusterOption())
    .addOption(slotsOption())
    .addHelpText('after', '\nExample:\n  $ conclave up --nodes 4 --tasks ./tasks.js --cluster words')
    .action(up)
}

async function up(options: UpOptions, command: Command): Promise<void> {
  const signal = interruptSignal()
  const { connect: _, ...others } = options
  const connect = connectOf(options, command)
  const tasks = parseTaskModules(options.tasks)
  await checkTaskModules(tasks, signal)
  const { startLocalCluster } = await import('../local-cluster.ts')
  const { connectCluster } = await import('../connect.ts')
  await using local = await startLocalCluster({
    ...others,
    ...(connect === undefined ? {} : { connect }),
    tasks,
    ...verboseLogger(command),
    signal,
  })
  tellOfNodes(local.agent, signal)
  await using cluster = await connectCluster({ connect: local.connect, cluster: options.cluster, signal })
  tellOfServers(cluster.zk, signal)
  void tellOfLeaders(cluster, signal)
  say(`Cluster ${options.cluster} runs on ${local.connect}. Ctrl-C ends it. Look at it with`)
  say(`  conclave status --connect '${local.connect}' --cluster ${options.cluster}`)
  await aborted(signal)
}

/** `--connect`, if that is to be used. Throws `UsageError` where `--data-dir` says otherwise. */
function connectOf({ connect, dataDir }: UpOptions, command: Command): string | undefined {
  if (dataDir === undefined || connect === undefined) return connect
  // An option wins over the environment.
  if (command.getOptionValueSource('connect') === 'env') return undefined
  throw new UsageError('--connect names the servers and --data-dir starts one: give only one of them')
}

function tellOfNodes(agent: Agent, interrupted: AbortSignal): void {
  const told = new Set<number | undefined>()
  const tell = ({ state, pid, nodeId, restarts }: AgentNode): void => {
    if (state !== 'up' || told.has(pid)) return
    told.add(pid)
    say(`${nodeId} is up (pid ${pid}${restarts === 0 ? '' : ', in the place of one that ended'})`)
  }
  agent.nodes().forEach(tell)
  agent.on('node', tell)
  agent.on('exited', ({ pid, code, signal }) => {
    if (interrupted.aborted) return
    say(
      `The node with pid ${pid} ${signal === null ? `ended with exit code ${code}` : `was killed (${signal})`}`,
    )
  })
  agent.on('unusable', ({ message }) => say(`A node cannot work and is not started again: ${message}`))
}

async function tellOfLeaders(cluster: Cluster, signal: AbortSignal): Promise<void> {
  try {
    for await (const leader of cluster.observeLeader(signal)) {
      if (leader !== null) say(`${leader.nodeId} is the leader (fencing token ${hex(leader.fencingToken)})`)
    }
  } catch (error) {
    if (!signal.aborted) say(`The leader cannot be told any more: ${messageOf(error)}`)
  }
}
