import { fileURLToPath } from 'node:url'
import { connectCluster, startAgent, type Agent, type Cluster } from '@conclave/cluster'
import { eventually } from '@conclave/testing'
import { expect, it } from 'vitest'
import { describeEachEngine } from '../support/engines.ts'

type Tasks = typeof import('./support/tasks.js')

const program = fileURLToPath(new URL('./support/node.js', import.meta.url))
const NODES = 4
const TASKS = 2_500
const TASK_MS = 2

type Role = 'leader' | 'worker'

/** Kills one process of a role with SIGKILL; without effect while there is none. */
function kill(agent: Agent, role: Role): void {
  const node = agent.nodes().find(({ state, role: has }) => state === 'up' && has === role)
  if (node?.pid !== undefined) process.kill(node.pid, 'SIGKILL')
}

/** Every index that the job's segments hold, read from the servers themselves. */
async function recordedIndexes(cluster: Cluster<Tasks>, name: string, jobId: string): Promise<number[]> {
  const folder = `/conclave/${name}/jobs/${jobId}/results`
  const { children } = await cluster.zk.getChildren(folder)
  const segments = await Promise.all(children.map(child => cluster.zk.getData(`${folder}/${child}`)))
  return segments.flatMap(({ data }) =>
    String(data)
      .split('\n')
      .map(line => (JSON.parse(line) as [number])[0]),
  )
}

describeEachEngine('chaos', engine => {
  it('processes are killed all the time - every task is recorded exactly once, with the right value', async () => {
    const connect = engine.server.connectString
    const name = 'chaos'
    const agent = await startAgent({
      connect,
      cluster: name,
      nodes: NODES,
      program,
      args: [connect, name],
      // Every death here is answered at once, however many there were before.
      healing: { stableMs: 0, maxLaunchesPerMinute: 1_000 },
    })
    const cluster = await connectCluster<Tasks>({ connect, cluster: name })
    try {
      await eventually(() => agent.nodes().every(({ state }) => state === 'up'), { what: 'all nodes' })
      // So many attempts that no number of deaths in this test makes a failure.
      const inputs = Array.from({ length: TASKS }, () => TASK_MS)
      const job = await cluster.submit('burns', inputs, { maxAttempts: 1_000 })
      const values: number[] = []
      const victims: Role[][] = [['worker'], ['leader'], ['leader', 'worker'], ['worker', 'worker']]
      let kills = 0
      for await (const { value } of job.results()) {
        values.push(value)
        if (values.length < ((kills + 1) * TASKS) / 12) continue
        for (const role of victims[kills % victims.length]!) kill(agent, role)
        kills++
      }
      expect(kills).toBeGreaterThan(8)
      expect(values).toEqual(inputs)
      const recorded = await recordedIndexes(cluster, name, job.id)
      expect(recorded.sort((a, b) => a - b)).toEqual(Array.from({ length: TASKS }, (_, i) => i))
      expect(await job.record()).toMatchObject({ state: 'finished', end: { succeeded: TASKS, failed: 0 } })
      const roles = (): string[] => agent.nodes().map(({ state, role }) => `${state} ${role}`)
      await eventually(() => roles().sort().join() === 'up leader,up worker,up worker,up worker', {
        what: 'one leader and three workers',
      })
    } finally {
      await cluster.close()
      await agent.close()
    }
  })

  it.each([1, 4])(
    'a task that kills its process - fails alone, and the others succeed, with %i nodes',
    async nodes => {
      const connect = engine.server.connectString
      const name = `poison-${nodes}`
      const healing = { stableMs: 0, maxLaunchesPerMinute: 1_000 }
      const agent = await startAgent({
        connect,
        cluster: name,
        nodes,
        program,
        args: [connect, name],
        healing,
      })
      const cluster = await connectCluster<Tasks>({ connect, cluster: name })
      try {
        const inputs = ['a', 'b', 'kill', 'd', 'e', 'f', 'g', 'h']
        const job = await cluster.submit('killsProcess', inputs)
        for await (const outcome of job.outcomes({ ordered: true })) {
          if (inputs[outcome.index] !== 'kill')
            expect(outcome).toMatchObject({ value: inputs[outcome.index] })
          else
            expect(outcome).toMatchObject({
              status: 'failed',
              attempt: 3,
              error: { name: 'WorkerLostError' },
            })
        }
        expect(await job.record()).toMatchObject({ state: 'finished', end: { succeeded: 7, failed: 1 } })
      } finally {
        await cluster.close()
        await agent.close()
      }
    },
  )
})
