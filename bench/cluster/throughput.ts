// How many tasks a second go through the whole path: submitted, handed out by the leader, run in a worker's thread,
// written to the servers, read by the submitter. The server, the leader and two workers are processes of their own.
//
//     npm run bench:cluster -- [tasks] [runs]

import { fileURLToPath } from 'node:url'
import { connectCluster, startAgent, type Cluster } from '@conclave/cluster'
import { ApacheZooKeeper, EmbeddedServerProcess } from '@conclave/testing'
import type * as tasks from './tasks.js'

const WORKERS = 2
const [taskCount = 50_000, runs = 5] = process.argv.slice(2).map(Number)

async function measure(cluster: Cluster<typeof tasks>): Promise<number> {
  const startedAtMs = performance.now()
  const job = await cluster.submit(
    'nothing',
    new Array<undefined>(taskCount).fill(undefined).map(() => null) as never[],
  )
  let count = 0
  for await (const _result of job.results()) count++
  const seconds = (performance.now() - startedAtMs) / 1000
  if (count !== taskCount) throw new Error(`${count} results for ${taskCount} tasks`)
  await job.remove()
  return taskCount / seconds
}

async function run(name: string, server: { connectString: string; close(): Promise<void> }): Promise<void> {
  const { connectString: connect } = server
  const program = fileURLToPath(new URL('./node.js', import.meta.url))
  const agent = await startAgent({ connect, cluster: 'bench', nodes: WORKERS + 1, program, args: [connect] })
  const cluster = await connectCluster<typeof tasks>({ connect, cluster: 'bench' })
  while ((await cluster.status()).workers.length !== WORKERS)
    await new Promise(resolve => setTimeout(resolve, 20))
  const rates: number[] = []
  for (let i = 0; i < runs; i++) rates.push(await measure(cluster))
  rates.sort((a, b) => a - b)
  const [lowest, median, highest] = [rates[0]!, rates[rates.length >> 1]!, rates.at(-1)!].map(Math.round)
  console.log(
    `${name}: ${median} tasks/s (median of ${runs}; ${lowest} to ${highest}), ${taskCount} no-op tasks, ${WORKERS} workers`,
  )
  await cluster.close()
  await agent.close()
  await server.close()
}

await run('embedded server', await EmbeddedServerProcess.start())
await run('Apache ZooKeeper', await ApacheZooKeeper.start())
