import { fileURLToPath } from 'node:url'
import { ZooKeeper } from '@conclave/client'
import { Agent, startAgent, type AgentEvents, type AgentOptions } from '@conclave/cluster'
import { EmbeddedServerProcess, eventually, FaultProxy, killAtExit, TestProcess } from '@conclave/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const program = fileURLToPath(new URL('./node-fixture.mjs', import.meta.url))
const conclave = fileURLToPath(new URL('../../packages/conclave/dist/bin.js', import.meta.url))

let server: EmbeddedServerProcess
let zk: ZooKeeper

beforeAll(async () => {
  server = await EmbeddedServerProcess.start({ tickTimeMs: 500 })
  zk = await ZooKeeper.connect(server.connectString)
})
afterAll(async () => {
  await zk.close()
  await server.close()
})

function start(behaviour: string, options: Partial<AgentOptions> = {}): Promise<Agent> {
  const connect = server.connectString
  return startAgent({ connect, nodes: 1, program, args: [behaviour, connect], ...options })
}

/** Resolves when every node is up; they are killed with this process, should the agent fail to end them. */
async function up(agent: Agent): Promise<readonly number[]> {
  await eventually(() => agent.nodes().every(({ state }) => state === 'up'))
  const pids = agent.nodes().map(({ pid }) => pid!)
  pids.forEach(pid => killAtExit(pid))
  return pids
}

function next<Name extends keyof AgentEvents>(agent: Agent, name: Name): Promise<AgentEvents[Name]> {
  return new Promise(resolve => {
    const off = agent.on(name, event => {
      off()
      resolve(event)
    })
  })
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('agent', () => {
  test('death - the session of a killed node is closed long before its timeout, and the node is replaced', async () => {
    await using agent = await start('join', { nodes: 2 })
    const [dead, other] = await up(agent)
    const exited = next(agent, 'exited')
    process.kill(dead!, 'SIGKILL')
    expect(await exited).toMatchObject({ pid: dead, signal: 'SIGKILL', sessionClosed: true })
    expect(await zk.exists(`/members/${dead}`)).toBeNull()
    expect(await zk.exists(`/members/${other}`)).not.toBeNull()
    const [replacement] = await up(agent)
    expect(replacement).not.toBe(dead)
    expect(agent.nodes()[0]).toMatchObject({
      place: 0,
      restarts: 1,
      nodeId: `node-${replacement}`,
      role: 'worker',
    })
  })

  test('usage - a node that can never work is told of once and not started again', async () => {
    const connect = server.connectString
    await using agent = new Agent({ connect, nodes: 1, program, args: ['unusable', connect] })
    const decisions: string[] = []
    agent.on('decision', ({ decision }) => decisions.push(decision))
    const unusable = next(agent, 'unusable')
    await agent.start()
    expect(await unusable).toEqual({ place: 0, message: 'there is nothing to do' })
    expect(decisions).toEqual(['launch', 'give-up'])
    expect(agent.nodes()).toMatchObject([{ state: 'unusable', restarts: 0 }])
  })

  test('crash - a node that never comes up is started again, and then after a backoff', async () => {
    await using agent = await start('crash', { healing: { backoff: { baseMs: 1, maxMs: 1 } } })
    await eventually(() => agent.nodes()[0]!.restarts >= 3)
  })

  test('close - nodes end in order, and the agent leaves nothing behind', async () => {
    const agent = await start('join', { nodes: 2, cluster: 'closing' })
    const pids = await up(agent)
    expect((await zk.getChildren('/conclave/closing/agents')).children).toEqual([agent.id])
    await agent.close()
    expect(pids.map(isAlive)).toEqual([false, false])
    expect((await zk.getChildren('/members')).children).toEqual([])
    expect((await zk.getChildren('/conclave/closing/agents')).children).toEqual([])
  })

  test('close - a node that does not end is killed after the grace period, and its session closed', async () => {
    const agent = await start('stubborn', { graceMs: 50 })
    const [pid] = await up(agent)
    const exited = next(agent, 'exited')
    await agent.close()
    expect(await exited).toMatchObject({ pid, signal: 'SIGKILL', sessionClosed: true })
    expect(await zk.exists(`/members/${pid}`)).toBeNull()
  })

  test('registration - says what it runs, and is made again in a new session', async () => {
    await using proxy = await FaultProxy.start(server.endpoint)
    await using agent = await start('join', {
      connect: proxy.connectString,
      cluster: 'registration',
      agentId: 'agent-1',
      sessionTimeoutMs: 1_000,
    })
    const [pid] = await up(agent)
    const path = '/conclave/registration/agents/agent-1'
    const record = async (): Promise<unknown> => JSON.parse(String((await zk.getData(path)).data))
    await eventually(async () => ((await record()) as { nodes: string[] }).nodes.length === 1)
    expect(await record()).toMatchObject({ pid: process.pid, capacity: 1, nodes: [`node-${pid}`] })
    const { ephemeralOwner } = (await zk.exists(path))!

    proxy.refuse()
    proxy.cut()
    await eventually(async () => (await zk.exists(path)) === null)
    proxy.heal()

    const again = await eventually(() => zk.exists(path))
    expect(again.ephemeralOwner).not.toBe(ephemeralOwner)
    expect(await record()).toMatchObject({ nodes: [`node-${pid}`] })
  })

  test('death of the agent - its nodes end by themselves', async () => {
    const args = ['up', '--connect', server.connectString, '--cluster', 'orphans', '--nodes', '2']
    const agent = new TestProcess(process.execPath, [conclave, ...args])
    const pids = await eventually(() => {
      const found = [...agent.stderr.matchAll(/is up \(pid (\d+)\)/g)].map(([, pid]) => Number(pid))
      return found.length === 2 && found
    })
    pids.forEach(pid => killAtExit(pid))
    await agent.kill()
    await eventually(() => !pids.some(isAlive))
  })
})
