import type { ZooKeeper } from '@conclave/client'
import type { ClusterStatus, JobInfo } from '@conclave/cluster'
import { ConclaveError } from '@conclave/core'
import { Command } from 'commander'
import { interruptSignal } from '../interrupt.ts'
import { LineWriter } from '../line-writer.ts'
import { clusterOption, connectOption, verboseLogger } from '../options.ts'
import { count, hex } from '../output.ts'

interface StatusOptions {
  readonly connect?: string
  readonly cluster: string
  readonly json?: true
}

/** `conclave status`: what a cluster is doing. */
export function statusCommand(): Command {
  return new Command('status')
    .description('show the leader, the workers and the jobs of a cluster')
    .addOption(connectOption())
    .addOption(clusterOption())
    .option('--json', 'as one JSON object, for programs')
    .addHelpText('after', '\nExample:\n  $ conclave status --connect zk1:2181,zk2:2181 --cluster words')
    .action(status)
}

async function status(options: StatusOptions, command: Command): Promise<void> {
  const signal = interruptSignal()
  const { connectCluster, resolveTarget } = await import('../connect.ts')
  const { EmbeddedEngine } = await import('../embedded-engine.ts')
  const connect = resolveTarget(options.connect)
  // To look must not start anything.
  if (connect instanceof EmbeddedEngine && (await connect.find()) === undefined) {
    const message = `no embedded server runs on ${connect.folder}: start a cluster with 'conclave up', or name the servers with --connect`
    throw new ConclaveError(message, { code: 'NO_SERVER' })
  }
  await using cluster = await connectCluster({
    connect,
    cluster: options.cluster,
    // Who only looks does not want to wait long for servers that do not answer.
    sessionTimeoutMs: 4_000,
    ...verboseLogger(command),
    signal,
  })
  await checkExists(cluster.zk, options.cluster)
  const now = await cluster.status()
  const output = await LineWriter.open(undefined)
  await output.write(options.json ? JSON.stringify(now, bigintAsText, 2) : describe(now))
  await output.end()
}

async function checkExists(zk: ZooKeeper, cluster: string): Promise<void> {
  if ((await zk.exists(`/conclave/${cluster}`)) !== null) return
  const isEmpty = (await zk.exists('/conclave')) === null
  const names = isEmpty ? [] : [...(await zk.getChildren('/conclave')).children].sort()
  const those = names.length === 0 ? 'there is none on these servers' : `there are ${names.join(', ')}`
  throw new ConclaveError(`there is no cluster '${cluster}': ${those}`, { code: 'NO_CLUSTER' })
}

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? hex(value) : value
}

function describe({ cluster, leader, workers, agents, jobs }: ClusterStatus): string {
  const lines = [
    `cluster  ${cluster}`,
    `leader   ${leader === null ? 'none' : `${leader.nodeId} (fencing token ${hex(leader.fencingToken)})`}`,
    `workers  ${workers.length}`,
    ...workers.map(({ nodeId, address, port, slots, pid, tasks }) => {
      return `  ${nodeId}  ${address}:${port}  pid ${pid}  ${count(slots, 'slot')}  ${tasks.join(', ') || 'no tasks'}`
    }),
    `agents   ${agents.length}`,
    ...agents.map(({ agentId, host, pid }) => `  ${agentId}  on ${host}  pid ${pid}`),
    `jobs     ${jobs.length}`,
    ...jobs.map(job => `  ${job.id}  ${job.task}  ${describeJob(job)}`),
  ]
  return lines.join('\n')
}

function describeJob({ state, taskCount, submittedAtMs, end }: JobInfo): string {
  if (end === undefined) return `${state}  ${count(taskCount, 'task')}`
  const seconds = ((end.finishedAtMs - submittedAtMs) / 1000).toFixed(1)
  const failed = end.failed === 0 ? '' : `, ${end.failed} failed`
  return `${state} in ${seconds} s  ${count(taskCount, 'task')}${failed}`
}
