import { Command, Option } from 'commander'
import { aborted, interruptSignal } from '../interrupt.ts'
import {
  clusterOption,
  connectOption,
  slotsOption,
  tasksOption,
  verboseLogger,
  wholeNumber,
} from '../options.ts'
import { hex, say } from '../output.ts'
import { checkTaskModules, parseTaskModules } from '../task-modules.ts'

interface JoinOptions {
  readonly connect?: string
  readonly cluster: string
  readonly tasks: readonly string[]
  readonly slots?: number
  readonly host: string
  readonly port: number
  readonly id?: string
}

/** `conclave join`: this process as one node of a cluster. */
export function joinCommand(): Command {
  return new Command('join')
    .description('be a node of a cluster until Ctrl-C: lead it when elected, run its tasks otherwise')
    .addOption(connectOption())
    .addOption(clusterOption())
    .addOption(tasksOption())
    .addOption(slotsOption())
    .option('--host <address>', 'where the leader reaches this node', '127.0.0.1')
    .addOption(
      new Option('--port <number>', 'likewise; 0 for any that is free')
        .default(0)
        .argParser(wholeNumber(0, 65_535)),
    )
    .option('--id <name>', 'the name of this node, unique in the cluster (default: a random one)')
    .addHelpText(
      'after',
      '\nExample:\n  $ conclave join --connect zk1:2181,zk2:2181 --cluster words --tasks ./tasks.js',
    )
    .action(join)
}

async function join(options: JoinOptions, command: Command): Promise<void> {
  const signal = interruptSignal()
  const tasks = parseTaskModules(options.tasks)
  await checkTaskModules(tasks, signal)
  const { joinCluster } = await import('../connect.ts')
  await using node = await joinCluster({
    ...(options.connect === undefined ? {} : { connect: options.connect }),
    cluster: options.cluster,
    tasks,
    host: options.host,
    port: options.port,
    ...(options.slots === undefined ? {} : { slots: options.slots }),
    ...(options.id === undefined ? {} : { nodeId: options.id }),
    ...verboseLogger(command),
    signal,
  })
  const known = node.tasks.length === 0 ? 'no tasks' : `the tasks ${node.tasks.join(', ')}`
  say(`${node.id} is a node of cluster ${options.cluster}, with ${known}. Ctrl-C ends it.`)
  const tell = (role: string, fencingToken?: bigint): void => {
    // It leaves: that it leads no more is no news.
    if (signal.aborted) return
    const term = fencingToken === undefined ? '' : ` (fencing token ${hex(fencingToken)})`
    say(`${node.id} is ${role === 'leader' ? 'the leader' : 'a worker'}${term}`)
  }
  tell(node.role)
  node.on('role', change => tell(change.role, change.fencingToken))
  await Promise.race([aborted(signal), node.closed])
}
