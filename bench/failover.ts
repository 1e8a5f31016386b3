// From the SIGKILL of the leader to the next one in office: `node bench/dist/failover.js`.

import { ApacheZooKeeper, eventually, findZooKeeper, temporaryFolder } from '@conclave/testing'
import { EmbeddedEngine, startLocalCluster, type Agent } from 'conclave'
import { readArguments } from './arguments.ts'

const { kills } = readArguments('npm run bench:failover --', { kills: 20 })

await onEmbeddedServer()
if (findZooKeeper() === undefined) console.log('Apache ZooKeeper: not installed here')
else await onApacheZooKeeper()

async function onEmbeddedServer(): Promise<void> {
  await using folder = temporaryFolder()
  await measure('embedded server', `embedded:${folder.path}`)
  await new EmbeddedEngine(folder.path).stop()
}

async function onApacheZooKeeper(): Promise<void> {
  await using server = await ApacheZooKeeper.start()
  await measure('Apache ZooKeeper', server.connectString)
}

async function measure(engine: string, connect: string): Promise<void> {
  await using local = await startLocalCluster({ connect, cluster: 'failover', nodes: 4, tasks: [] })
  const tookMs: number[] = []
  for (let kill = 0; kill < kills; kill++) {
    await everyNodeIsUp(local.agent)
    tookMs.push(await killLeader(local.agent))
  }
  tookMs.sort((a, b) => a - b)
  const [best, median, worst] = [0, Math.floor((kills - 1) / 2), kills - 1].map(at => tookMs[at]!.toFixed(1))
  console.log(
    `${engine}: next leader after ${median} ms at the median, ${worst} ms at the worst, ${best} ms at the best of ${kills}`,
  )
}

async function everyNodeIsUp(agent: Agent): Promise<void> {
  await eventually(
    () =>
      agent.nodes().every(({ state }) => state === 'up') &&
      agent.nodes().some(({ role }) => role === 'leader'),
    { timeoutMs: 60_000, what: 'the return of every node' },
  )
}

/** Resolves with the milliseconds from the signal to the word of another node that it is in office. */
function killLeader(agent: Agent): Promise<number> {
  const leader = agent.nodes().find(({ role }) => role === 'leader')!
  return new Promise(resolve => {
    const off = agent.on('node', ({ place, role }) => {
      if (place === leader.place || role !== 'leader') return
      off()
      resolve(performance.now() - killedMs)
    })
    const killedMs = performance.now()
    process.kill(leader.pid!, 'SIGKILL')
  })
}
