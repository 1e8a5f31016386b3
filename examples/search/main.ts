// A full-text search on a cluster of this machine: `npm start -- --dir PATH --query "leader election"`.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  connectCluster,
  EmbeddedEngine,
  messageOf,
  startLocalCluster,
  UsageError,
  type Cluster,
  type LocalCluster,
} from 'conclave'
import { collectFiles, toBatches, type InputFile } from './files.ts'
import { Progress } from './progress.ts'
import { mergeCounts, rank, type Hit } from './rank.ts'
import type { BatchCounts } from './tasks.ts'
import { queryTerms } from './tokens.ts'

type Tasks = typeof import('./tasks.ts')

const HELP = `Searches a folder of text on a cluster of this machine, and shows the best hits.

  npm start -- [options]

  --dir <folder>       what to search (default: the documents of this project and all files in node_modules)
  --query <words>      what to look for (default: leader election)
  --top <count>        how many hits to show (default: 10)
  --nodes <count>      how many nodes to start (default: 4)
  --data-dir <folder>  where the coordination server keeps its data (default: a temporary folder)
  --exit               end after the job; so it does where there is no terminal
  --help

Example:
  npm start -- --dir ~/notes --query "leader election" --exit`

const PROJECT = fileURLToPath(new URL('../../..', import.meta.url))

interface Options {
  /** `undefined`: the documents of this project, and all that is installed in it. */
  readonly folder: string | undefined
  readonly query: string
  readonly top: number
  readonly nodes: number
  readonly dataDir: string | undefined
  readonly exit: boolean
}

const interrupted = new AbortController()
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    // Never at once: what must not be left behind is gone in a second.
    if (!interrupted.signal.aborted && process.stdout.isTTY) console.log('\nEnding in order.')
    interrupted.abort()
  })
}
// Whoever reads only the first lines (`| head`) has seen enough, which is no failure.
let hasReaderLeft = false
process.stdout.on('error', () => {
  hasReaderLeft = true
  interrupted.abort()
})

try {
  const options = readOptions()
  if (options === undefined) console.log(HELP)
  else await main(options)
} catch (error) {
  if (interrupted.signal.aborted) process.exitCode = hasReaderLeft ? 0 : 130
  else {
    console.error(`search: ${messageOf(error)}`)
    process.exitCode = error instanceof UsageError ? 2 : 1
  }
}

/** `undefined` where only help was asked for. Throws `UsageError`. */
function readOptions(): Options | undefined {
  let values
  try {
    values = parseArgs({
      options: {
        dir: { type: 'string' },
        query: { type: 'string', default: 'leader election' },
        top: { type: 'string', default: '10' },
        nodes: { type: 'string', default: '4' },
        'data-dir': { type: 'string' },
        exit: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    throw new UsageError(`${messageOf(error)}; see npm start -- --help`, error)
  }
  if (values.help) return undefined
  const [top, nodes] = [Number(values.top), Number(values.nodes)]
  for (const [name, value] of Object.entries({ top, nodes })) {
    if (!Number.isInteger(value) || value < 1)
      throw new UsageError(`--${name} must be a whole number from 1 up`)
  }
  if (queryTerms(values.query).length === 0) throw new UsageError('--query must have a word in it')
  const { dir, query, 'data-dir': dataDir } = values
  const folder = dir === undefined ? undefined : resolve(dir)
  return { folder, query, top, nodes, dataDir, exit: values.exit || !process.stdout.isTTY }
}

async function main(options: Options): Promise<void> {
  const { signal } = interrupted
  // Before anything is started: there may be nothing to search.
  const named = options.folder === undefined ? undefined : await filesIn(options.folder, signal)
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'conclave-search-')))
  const startedMs = performance.now()
  try {
    await using local = await startLocalCluster({
      dataDir,
      nodes: options.nodes,
      tasks: new URL('./tasks.js', import.meta.url),
      signal,
    })
    await using cluster = await connectCluster<Tasks>({ connect: local.connect, signal })
    await announceLeader(cluster, options.nodes, startedMs)
    await search(cluster, named ?? (await filesOfProject(signal)), options)
    if (!options.exit) await stayUp(local)
  } finally {
    if (options.dataDir === undefined) await removeData(dataDir)
  }
}

async function announceLeader(cluster: Cluster<Tasks>, nodes: number, startedMs: number): Promise<void> {
  for await (const leader of cluster.observeLeader(interrupted.signal)) {
    if (leader === null) continue
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(2)
    console.log(
      `${leader.nodeId} (pid ${leader.pid}) is the elected leader of ${countOf(nodes, 'node')}, after ${seconds} s`,
    )
    return
  }
}

/** The job: batches of files out, counts back, then the ranking. */
async function search(cluster: Cluster<Tasks>, files: readonly InputFile[], options: Options): Promise<void> {
  const { signal } = interrupted
  const terms = queryTerms(options.query)
  const folder = options.folder ?? PROJECT
  const megabytes = (files.reduce((sum, file) => sum + file.sizeBytes, 0) / 1e6).toFixed(1)
  console.log(
    `Searching ${files.length.toLocaleString('en')} files (${megabytes} MB) for: ${terms.join(' ')}`,
  )

  const startedMs = performance.now()
  const job = await cluster.submit('countTerms', toBatches(folder, files, terms), { signal })
  const progress = new Progress(job.taskCount)
  const batches: BatchCounts[] = []
  const tasksOfWorker = new Map<string, number>()
  for await (const { value, workerId } of job.results({ signal })) {
    batches.push(value)
    tasksOfWorker.set(workerId, (tasksOfWorker.get(workerId) ?? 0) + 1)
    progress.update(batches.length)
  }
  signal.throwIfAborted()
  progress.end()
  const seconds = (performance.now() - startedMs) / 1000
  await job.remove()

  const counts = mergeCounts(batches)
  showHits(rank(counts), options.top, counts.documents)
  for (const path of counts.unreadable) console.error(`could not be read: ${path}`)
  console.log(
    `${countOf(job.taskCount, 'task')} in ${seconds.toFixed(2)} s: ${Math.round(job.taskCount / seconds)} tasks per second, ` +
      `${Math.round(counts.words / seconds).toLocaleString('en')} words per second`,
  )
  for (const [workerId, tasks] of [...tasksOfWorker].sort(([a], [b]) => (a < b ? -1 : 1)))
    console.log(`  ${workerId}  ${countOf(tasks, 'task')}`)
}

function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

/** The project's documents and all that is installed in it. */
async function filesOfProject(signal: AbortSignal): Promise<InputFile[]> {
  const files = await collectFiles(PROJECT, signal)
  return files.filter(({ path }) => path.startsWith('node_modules/') || path.endsWith('.md'))
}

/** Throws `UsageError` where there is nothing to search. */
async function filesIn(folder: string, signal: AbortSignal): Promise<InputFile[]> {
  const files = await collectFiles(folder, signal).catch((error: unknown) => {
    throw new UsageError(`cannot search ${folder}: ${messageOf(error)}; name a folder with --dir`, error)
  })
  if (files.length === 0)
    throw new UsageError(`there is no file in ${folder}: name another folder with --dir`)
  return files
}

function showHits(hits: readonly Hit[], top: number, documents: number): void {
  console.log(`${hits.length.toLocaleString('en')} of ${documents.toLocaleString('en')} documents match`)
  hits.slice(0, top).forEach(({ path, score }, index) => {
    console.log(`${String(index + 1).padStart(3)}. ${score.toFixed(4).padStart(8)}  ${path}`)
  })
}

async function stayUp({ connect }: LocalCluster): Promise<void> {
  console.log('\nThe cluster stays up until Ctrl-C. Kill a node, and look at it from another terminal:')
  console.log(`  npm run conclave -- status --connect '${connect}'`)
  await new Promise(resolve => interrupted.signal.addEventListener('abort', resolve, { once: true }))
}

/** Ends the server on the temporary folder, which nobody else knows, and removes the folder. */
async function removeData(dataDir: string): Promise<void> {
  await new EmbeddedEngine(dataDir).stop()
  await rm(dataDir, { recursive: true, force: true })
}
