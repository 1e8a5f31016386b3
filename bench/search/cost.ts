// What the cluster itself costs, beside the work that it shares out: the search over 5,000 files, once by three plain
// processes that each get a third of the batches, once by a cluster with three workers. Compares the CPU time of all
// processes from the moment when everything is up.
//
//     npm run bench:search -- [files] [runs]

import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connectCluster, startLocalCluster } from 'conclave'
import { EmbeddedServerProcess } from '@conclave/testing'
import { writeCorpus, type SearchFiles } from './corpus.js'
import { cpuSecondsOfTree } from './processes.js'

const WORKERS = 3
const [fileCount = 5_000, runs = 5] = process.argv.slice(2).map(Number)
const tasks = new URL('../../../examples/dist/search/tasks.js', import.meta.url)
const { collectFiles, toBatches } = (await import(new URL('./files.js', tasks).href)) as SearchFiles

async function alone(batches: readonly unknown[]): Promise<number> {
  const children: ChildProcess[] = []
  for (let i = 0; i < WORKERS; i++) {
    const child = fork(fileURLToPath(new URL('./alone.js', import.meta.url)), [tasks.href])
    await once(child, 'message')
    children.push(child)
  }
  const before = cpuSecondsOfTree()
  await Promise.all(
    children.map(async (child, i) => {
      const done = once(child, 'message')
      child.send(batches.filter((_, at) => at % WORKERS === i))
      await done
    }),
  )
  const seconds = cpuSecondsOfTree() - before
  for (const child of children) {
    const exited = once(child, 'exit')
    child.kill()
    await exited
  }
  return seconds
}

async function inCluster(batches: readonly unknown[]): Promise<number> {
  const server = await EmbeddedServerProcess.start()
  const local = await startLocalCluster({
    connect: server.connectString,
    nodes: WORKERS + 1,
    tasks,
    slots: 1,
  })
  const cluster = await connectCluster({ connect: local.connect })
  for (;;) {
    const { leader, workers } = await cluster.status()
    if (leader !== null && workers.length === WORKERS) break
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  const before = cpuSecondsOfTree()
  const job = await cluster.submit('countTerms', batches)
  let count = 0
  for await (const _result of job.results()) count++
  const seconds = cpuSecondsOfTree() - before
  if (count !== batches.length) throw new Error(`${count} results for ${batches.length} tasks`)
  await cluster.close()
  await local.close()
  await server.close()
  return seconds
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!
}

const folder = mkdtempSync(join(tmpdir(), 'conclave-bench-'))
try {
  writeCorpus(folder, fileCount)
  const batches = toBatches(folder, await collectFiles(folder), ['leader', 'election'])
  const without: number[] = []
  const within: number[] = []
  for (let i = 0; i < runs; i++) {
    without.push(await alone(batches))
    within.push(await inCluster(batches))
  }
  const [work, whole] = [median(without), median(within)]
  console.log(`${fileCount} files, ${batches.length} tasks, medians of ${runs} runs`)
  console.log(`tokenising alone, ${WORKERS} processes: ${work.toFixed(2)} s of CPU`)
  console.log(`the same on a cluster:          ${whole.toFixed(2)} s of CPU`)
  console.log(
    `the cluster's own cost:         ${(((whole - work) / work) * 100).toFixed(1)} % of the tokenising`,
  )
} finally {
  rmSync(folder, { recursive: true, force: true })
}
