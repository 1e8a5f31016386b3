import type { Cluster, Job, TaskOutcome } from '@conclave/cluster'
import { abortAfter, nodeClock, nodePlatform, orAborted, UsageError, uuid, type Logger } from '@conclave/core'
import { connectCluster } from './connect.ts'
import { Exit, ExitCode } from './exit.ts'
import { matchFiles, readJsonLines, unlessEmpty } from './inputs.ts'
import { LineWriter } from './line-writer.ts'
import { startLocalCluster } from './local-cluster.ts'
import { oneLine } from './one-line.ts'
import { count, say } from './output.ts'
import { ownClusterName, removeAbandonedClusters, removeOwnCluster } from './own-clusters.ts'
import { showProgress } from './progress.ts'
import { tellOfServers } from './tell-of-servers.ts'
import { checkTaskExists, parseTaskReference, taskNameOf } from './task-modules.ts'

export interface RunJobOptions {
  /** `./tasks.js#countWords`. */
  readonly task: string
  /** Patterns of files; none: the inputs are lines of JSON on standard input. */
  readonly input: readonly string[]
  /** The servers of a cluster that runs already. Default: a cluster is started for the job, and ended after it. */
  readonly connect?: string
  readonly cluster?: string
  readonly nodes: number
  readonly slots?: number
  readonly unordered?: boolean
  readonly envelope?: boolean
  readonly output?: string
  readonly maxAttempts: number
  readonly logger?: Logger
  readonly signal: AbortSignal
}

/** How long a job that nobody will read tries to remove what it left on the servers, in milliseconds. */
const TIDY_UP_MS = 1_000

/** Runs a job and writes its results. Throws `Exit` where tasks failed, after everything else was written. */
export async function runJob(options: RunJobOptions): Promise<void> {
  if (options.input.length === 0 && process.stdin.isTTY) {
    throw new UsageError(
      "there is no input: name files with --input 'docs/**/*.md', or pipe lines of JSON in",
    )
  }
  try {
    if (options.connect === undefined) await runOnOwnCluster(options)
    else await runOnSharedCluster(options, options.connect)
  } finally {
    // What was not read is for nobody; whoever writes it must not keep this process waiting.
    if (options.input.length === 0) process.stdin.destroy()
  }
}

/** Starts a cluster under a name of its own on the project's embedded server, and removes it afterwards. */
async function runOnOwnCluster(options: RunJobOptions): Promise<void> {
  if (options.cluster !== undefined) {
    throw new UsageError('--cluster names a cluster that runs already: say with --connect where it is')
  }
  const { module, functionName } = parseTaskReference(options.task)
  const { nodes, slots, logger, signal } = options
  await checkTaskExists(module, functionName, signal)
  const output = await LineWriter.open(options.output)
  const inputs = await collectInputs(options)
  if (inputs === undefined) return writeNothing(output)
  const name = ownClusterName(uuid(nodePlatform.random).slice(0, 8))
  await using local = await startLocalCluster({
    cluster: name,
    tasks: module,
    nodes,
    ...(slots === undefined ? {} : { slots }),
    ...(logger === undefined ? {} : { logger }),
    signal,
  })
  await using cluster = await connectCluster({ connect: local.connect, cluster: name, signal })
  const tidying = tidyUp(removeAbandonedClusters(cluster.zk))
  try {
    await submitAndWrite(cluster, functionName, inputs, output, options)
  } finally {
    await local.close()
    await Promise.all([tidying, tidyUp(removeOwnCluster(cluster.zk, name))])
  }
}

async function runOnSharedCluster(options: RunJobOptions, connect: string): Promise<void> {
  const { cluster: name = 'default', logger, signal } = options
  const task = taskNameOf(options.task)
  const output = await LineWriter.open(options.output)
  const inputs = await collectInputs(options)
  if (inputs === undefined) return writeNothing(output)
  await using cluster = await connectCluster({
    connect,
    cluster: name,
    ...(logger === undefined ? {} : { logger }),
    signal,
  })
  const { workers, leader } = await cluster.status()
  const known = [...new Set(workers.flatMap(({ tasks }) => tasks))].sort()
  if (workers.length > 0 && !known.some(full => full === task || full.endsWith(`#${task}`))) {
    const they = known.length === 0 ? 'they know none' : `they know ${known.join(', ')}`
    throw new UsageError(`no worker of cluster '${name}' knows the task '${task}': ${they}`)
  }
  if (leader === null) say(`Cluster '${name}' has no leader: the job waits until nodes join (conclave join).`)
  await submitAndWrite(cluster, task, inputs, output, options)
}

type Inputs = readonly unknown[] | AsyncIterable<unknown>

/** `undefined` where there is none. */
async function collectInputs({ input, signal }: RunJobOptions): Promise<Inputs | undefined> {
  return input.length > 0 ? matchFiles(input) : unlessEmpty(readJsonLines(process.stdin, signal))
}

async function writeNothing(output: LineWriter): Promise<void> {
  await output.begin()
  await output.end()
  say('The input is empty: there was nothing to do.')
}

/** What is left where it fails, or takes long, disturbs nobody; what failed before it is what there is to tell. */
async function tidyUp(work: Promise<unknown>): Promise<void> {
  await orAborted(work, abortAfter(nodeClock, TIDY_UP_MS)).catch(() => {})
}

async function submitAndWrite(
  cluster: Cluster,
  task: string,
  inputs: Inputs,
  output: LineWriter,
  options: RunJobOptions,
): Promise<void> {
  const { maxAttempts, signal } = options
  tellOfServers(cluster.zk, signal)
  const startedMs = performance.now()
  const job = await cluster.submit(task, inputs, { maxAttempts, signal })
  await output.begin()
  let failed: number
  try {
    failed = await writeOutcomes(job, inputs, output, options)
  } catch (error) {
    // Nobody will read the rest: an interrupted run, a full disk, a reader that has enough.
    await tidyUp(job.remove())
    throw error
  }
  await orAborted(job.remove(), signal)
  const seconds = (performance.now() - startedMs) / 1000
  const rate = Math.round(job.taskCount / seconds).toLocaleString('en')
  const failures = failed === 0 ? '' : `, ${failed} of them failed`
  say(`${count(job.taskCount, 'task')} in ${seconds.toFixed(1)} s${failures} (${rate} a second)`)
  if (failed > 0) throw new Exit(ExitCode.failure)
}

/** Writes every outcome, values to the output and failures to standard error; resolves to how many failed. */
async function writeOutcomes(
  job: Job<unknown>,
  inputs: Inputs,
  output: LineWriter,
  { unordered = false, envelope = false, signal }: RunJobOptions,
): Promise<number> {
  const progress = await showProgress(job.taskCount)
  signal.addEventListener('abort', () => progress.stop(), { once: true })
  let done = 0
  let failed = 0
  try {
    for await (const outcome of job.outcomes({ ordered: !unordered, signal })) {
      signal.throwIfAborted()
      if (outcome.status !== 'succeeded') {
        failed++
        const input = Array.isArray(inputs) ? ` (${String(inputs[outcome.index])})` : ''
        progress.interrupt(`task ${outcome.index}${input} ${describeFailure(outcome)}`)
      }
      if (envelope) await output.write(JSON.stringify(toEnvelope(outcome)))
      else if (outcome.status === 'succeeded') await output.write(JSON.stringify(outcome.value))
      progress.update(++done, failed)
    }
    signal.throwIfAborted()
    await output.end()
  } finally {
    progress.stop()
  }
  return failed
}

type Failure = Exclude<TaskOutcome<unknown>, { readonly status: 'succeeded' }>

function describeFailure(failure: Failure): string {
  if (failure.status === 'cancelled') return 'was cancelled'
  const { error, attempt } = failure
  return `failed after ${count(attempt, 'attempt')}: ${error.name}: ${oneLine(error.message)}`
}

/** One task as a line of `--envelope`. */
function toEnvelope(outcome: TaskOutcome<unknown>): object {
  const { index } = outcome
  if (outcome.status === 'cancelled')
    return { index, error: { name: 'Cancelled', message: 'the job was cancelled' } }
  const { attempt, workerId: worker } = outcome
  if (outcome.status === 'succeeded') return { index, value: outcome.value, attempt, worker }
  const { name, message } = outcome.error
  return { index, error: { name, message }, attempt, worker }
}
