import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import { ApacheZooKeeper, eventually, temporaryFolder, type TemporaryFolder } from '@conclave/testing'
import { connectCluster, startLocalCluster, type Agent, type Cluster, type LocalCluster } from 'conclave'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { collectFiles, toBatches } from '../../examples/search/files.ts'
import { mergeCounts, rank, type Hit } from '../../examples/search/rank.ts'
import type { Batch, BatchCounts } from '../../examples/search/tasks.ts'

/** The built tasks: Node.js 20 runs no TypeScript in a thread. */
const tasks = new URL('../../examples/dist/search/tasks.js', import.meta.url)
const folder = fileURLToPath(new URL('../../node_modules', import.meta.url))
const NODES = 4

interface Outcome {
  readonly ranking: readonly Hit[]
  /** The index of each result that was recorded, in the order of the record. */
  readonly recorded: readonly number[]
}

interface Running {
  readonly agent: Agent
  readonly cluster: Cluster
}

let batches: Batch[]

beforeAll(async () => {
  const large = toBatches(folder, await collectFiles(folder), ['leader', 'election', 'session'])
  // Many small tasks: enough of them are under way, and waiting, whenever something dies.
  batches = large.flatMap(({ paths, ...batch }) => {
    const few = Array.from({ length: Math.ceil(paths.length / 10) }, (_, i) =>
      paths.slice(i * 10, i * 10 + 10),
    )
    return few.map(paths => ({ ...batch, paths }))
  })
})

/** Runs the whole search on a cluster of its own; `disturb` is called once, when a tenth of it is done. */
async function search(
  connect: string,
  cluster: string,
  disturb: (running: Running) => Promise<void> = async () => {},
  afterwards: (running: Running) => Promise<void> = async () => {},
): Promise<Outcome> {
  await using local: LocalCluster = await startLocalCluster({ connect, cluster, nodes: NODES, tasks })
  await using connected = await connectCluster({ connect, cluster })
  const running: Running = { agent: local.agent, cluster: connected }
  await allNodesAreBack(running)
  const job = await connected.submit('countTerms', batches)
  const recorded: number[] = []
  const counts: BatchCounts[] = []
  let disturbed: Promise<void> | undefined
  for await (const { index, value } of job.results()) {
    recorded.push(index)
    counts.push(value as BatchCounts)
    if (recorded.length > job.taskCount / 10) disturbed ??= disturb(running)
  }
  await disturbed
  await allNodesAreBack(running)
  await afterwards(running)
  return { ranking: rank(mergeCounts(counts)), recorded }
}

/** One leads, and every other is registered as a worker. */
async function allNodesAreBack({ agent, cluster }: Running): Promise<void> {
  await eventually(
    async () => {
      const { leader, workers } = await cluster.status()
      const nodes = agent.nodes()
      const up = new Set(nodes.filter(({ state }) => state === 'up').map(({ nodeId }) => nodeId))
      return (
        up.size === NODES &&
        leader !== null &&
        up.has(leader.nodeId) &&
        workers.length === NODES - 1 &&
        workers.every(({ nodeId }) => up.has(nodeId) && nodeId !== leader.nodeId)
      )
    },
    { what: 'a leader and three workers', timeoutMs: 30_000 },
  )
}

/** Kills the node that leads, or one that does not; resolves with its id when its place is taken again. */
async function kill({ agent }: Running, role: 'leader' | 'worker'): Promise<string> {
  const victim = await eventually(() => agent.nodes().find(node => node.state === 'up' && node.role === role))
  process.kill(victim.pid!, 'SIGKILL')
  await eventually(() => {
    const now = agent.nodes()[victim.place]!
    return now.state === 'up' && now.pid !== victim.pid
  })
  return victim.nodeId!
}

/** The dead node's process is another one now, and a worker; the leader is another node. */
async function leaderIsAnother({ cluster, agent }: Running, dead: string): Promise<void> {
  const { leader } = await cluster.status()
  expect(leader!.nodeId).not.toBe(dead)
  const replaced = agent.nodes().filter(({ restarts }) => restarts > 0)
  expect(replaced).not.toEqual([])
  expect(replaced.map(({ role }) => role)).toEqual(replaced.map(() => 'worker'))
}

function expectWhole({ recorded }: Outcome): void {
  expect([...recorded].sort((a, b) => a - b)).toEqual(batches.map((_, index) => index))
}

const engines = [
  {
    name: 'the embedded server',
    start: async () => {
      const data: TemporaryFolder = temporaryFolder()
      const folder = join(data.path, 'data with spaces')
      const pid = (): number =>
        (JSON.parse(readFileSync(join(folder, 'conclave-server.json'), 'utf8')) as { pid: number }).pid
      return {
        connect: `embedded:${folder}`,
        pid,
        close: async () => {
          process.kill(pid(), 'SIGTERM')
          await data.remove()
        },
      }
    },
  },
  {
    name: 'Apache ZooKeeper',
    start: async () => {
      const server = await ApacheZooKeeper.start()
      return { connect: server.connectString, pid: () => server.pid, close: () => server.close() }
    },
  },
]

describe.each(engines)('search on $name', ({ name, start }) => {
  let engine: Awaited<ReturnType<typeof start>>
  let undisturbed: Outcome

  beforeAll(async () => {
    engine = await start()
    undisturbed = await search(engine.connect, 'undisturbed')
  })
  afterAll(() => engine.close())

  test('undisturbed - the result is complete, and each task is recorded once', () => {
    expectWhole(undisturbed)
    expect(undisturbed.ranking.length).toBeGreaterThan(20)
  })

  test('the leader is killed - the same ranking, another leader, the dead node back as a worker', async () => {
    let dead = ''
    const outcome = await search(
      engine.connect,
      'leader',
      async running => void (dead = await kill(running, 'leader')),
      running => leaderIsAnother(running, dead),
    )
    expectWhole(outcome)
    expect(outcome.ranking).toEqual(undisturbed.ranking)
  })

  test('a worker is killed - the same ranking, the same leader', async () => {
    let leaders: string[] = []
    const outcome = await search(
      engine.connect,
      'worker',
      async running => {
        leaders = [(await running.cluster.status()).leader!.nodeId]
        await kill(running, 'worker')
      },
      async running => void leaders.push((await running.cluster.status()).leader!.nodeId),
    )
    expectWhole(outcome)
    expect(outcome.ranking).toEqual(undisturbed.ranking)
    expect(leaders[1]).toBe(leaders[0])
  })

  test('the leader and a worker are killed at once - the same ranking, another leader', async () => {
    let dead = ''
    const outcome = await search(
      engine.connect,
      'both',
      async running =>
        void ([dead = ''] = await Promise.all([kill(running, 'leader'), kill(running, 'worker')])),
      running => leaderIsAnother(running, dead),
    )
    expectWhole(outcome)
    expect(outcome.ranking).toEqual(undisturbed.ranking)
  })

  // The embedded server is brought back by whoever needs it; Apache ZooKeeper has its own keepers.
  if (name === 'the embedded server') {
    test('the coordination server is killed - it comes back on its data, and the ranking is the same', async () => {
      const before = engine.pid()
      const outcome = await search(engine.connect, 'server', async () => void process.kill(before, 'SIGKILL'))
      expectWhole(outcome)
      expect(outcome.ranking).toEqual(undisturbed.ranking)
      expect(engine.pid()).not.toBe(before)
    })

    test('the leader and the coordination server are killed at once - the same ranking, another leader', async () => {
      let dead = ''
      const outcome = await search(
        engine.connect,
        'leader-and-server',
        async running => {
          process.kill(engine.pid(), 'SIGKILL')
          dead = await kill(running, 'leader')
        },
        running => leaderIsAnother(running, dead),
      )
      expectWhole(outcome)
      expect(outcome.ranking).toEqual(undisturbed.ranking)
    })
  }
})
