import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { closeSession, ZooKeeper } from '@conclave/client'
import { LeaderElection, LeaseEndedError, type Lease } from '@conclave/recipes'
import { EmbeddedServer } from '@conclave/server'
import { eventually, FaultProxy, temporaryFolder, type TemporaryFolder } from '@conclave/testing'

let folder: TemporaryFolder
let server: EmbeddedServer
let zk: ZooKeeper
const opened: ZooKeeper[] = []

beforeAll(async () => {
  folder = temporaryFolder()
  server = await EmbeddedServer.start({ dataDir: folder.path, port: 0, tickTimeMs: 100 })
  zk = await ZooKeeper.connect(server.connectString)
})

beforeEach(async () => {
  await Promise.all(opened.splice(0).map(each => each.close()))
  await zk.deleteRecursive('/election')
})

afterAll(async () => {
  await Promise.all([zk, ...opened].map(each => each.close()))
  await server.close()
  await folder.remove()
})

async function connect(connectString = server.connectString): Promise<ZooKeeper> {
  const client = await ZooKeeper.connect(connectString, { sessionTimeoutMs: 1_000 })
  opened.push(client)
  return client
}

const election = (client: ZooKeeper, data = ''): LeaderElection =>
  new LeaderElection(client, '/election', { data })

async function candidates(): Promise<number> {
  return (await zk.getChildren('/election')).children.length
}

describe('leader election', () => {
  test('office - the next in line takes it when the leader releases it, with a greater token', async () => {
    const first = await election(await connect()).campaign()
    const waiting = election(await connect()).campaign()
    await eventually(async () => (await candidates()) === 2)
    expect(first.isHeld()).toBe(true)
    await first.release()
    const second = await waiting
    expect(second.fencingToken).toBeGreaterThan(first.fencingToken)
    expect([first.isHeld(), first.signal.aborted, second.isHeld()]).toEqual([false, true, true])
    expect(first.signal.reason).toMatchObject({ code: 'LEASE_ENDED', reason: 'released' })
  })

  test('fence - the check of a lease passes while it lasts and fails afterwards', async () => {
    const lease = await election(await connect()).campaign()
    await zk.multi([lease.check, { op: 'create', path: '/election/by-leader' }])
    expect((await zk.exists(lease.path))!.mzxid).toBe(lease.fencingToken)
    await lease.release()
    const late = zk.multi([lease.check, { op: 'delete', path: '/election/by-leader' }])
    await expect(late).rejects.toMatchObject({ code: 'NO_NODE' })
  })

  test('death - when somebody closes the session of the leader, the next leads and the old one is told', async () => {
    const leader = await connect()
    const first = await election(leader).campaign()
    const waiting = election(await connect()).campaign()
    await eventually(async () => (await candidates()) === 2)
    await closeSession(server.connectString, leader.session)
    const second = await waiting
    expect(second.fencingToken).toBeGreaterThan(first.fencingToken)
    await eventually(() => first.signal.aborted)
    expect(first.signal.reason).toBeInstanceOf(LeaseEndedError)
    expect(first.signal.reason).toMatchObject({ reason: 'sessionLost' })
  })

  test('cut off - the lease ends before the session can have expired, by the own clock', async () => {
    const proxy = await FaultProxy.start(server.endpoint)
    const client = await connect(proxy.connectString)
    const lease = await election(client).campaign()
    proxy.refuse()
    proxy.cut()
    const deadlineMs = client.sessionDeadlineMs
    await eventually(() => lease.signal.aborted, { everyMs: 1 })
    expect(performance.now()).toBeLessThan(deadlineMs)
    expect(lease.signal.reason).toMatchObject({ reason: 'unproven' })
    proxy.heal()
    // It withdrew, and that holds over the reconnect: nothing of it is left.
    await eventually(async () => (await candidates()) === 0)
    await client.close()
    await proxy.close()
  })

  test('short cut - a leader that is back in time still leads', async () => {
    const proxy = await FaultProxy.start(server.endpoint)
    const client = await connect(proxy.connectString)
    const lease = await election(client).campaign()
    const back = new Promise(resolve =>
      client.on('state', ({ state }) => state === 'connected' && resolve(state)),
    )
    proxy.cut()
    await back
    await zk.multi([lease.check])
    expect(lease.isHeld()).toBe(true)
    await client.close()
    await proxy.close()
  })

  test('deletion - a leader whose znode somebody deletes is told', async () => {
    const lease = await election(await connect()).campaign()
    await zk.delete(lease.path)
    await eventually(() => lease.signal.aborted)
    expect(lease.signal.reason).toMatchObject({ reason: 'deleted' })
  })

  test('campaign - aborted, it leaves no candidate; in a closed client, it ends', async () => {
    const holder = await election(await connect()).campaign()
    const client = await connect()
    const controller = new AbortController()
    const campaign = election(client).campaign({ signal: controller.signal })
    await eventually(async () => (await candidates()) === 2)
    controller.abort(new Error('enough'))
    await expect(campaign).rejects.toMatchObject({ code: 'ABORTED' })
    await eventually(async () => (await candidates()) === 1)
    const other = election(client).campaign()
    other.catch(() => {})
    await client.close()
    await expect(other).rejects.toMatchObject({ code: 'LEASE_ENDED', reason: 'closed' })
    await expect(election(client).campaign()).rejects.toMatchObject({ reason: 'closed' })
    await holder.release()
  })

  test('campaign - it goes on over the loss of its own session', async () => {
    const holder = await election(await connect()).campaign()
    const client = await connect()
    const campaign = election(client).campaign()
    await eventually(async () => (await candidates()) === 2)
    await closeSession(server.connectString, client.session)
    await eventually(async () => (await candidates()) === 2)
    await holder.release()
    expect((await campaign).isHeld()).toBe(true)
  })

  test('herd - the end of a leader wakes one candidate of many', async () => {
    const first = await election(await connect()).campaign()
    const clients: ZooKeeper[] = []
    const won: Lease[] = []
    for (let i = 0; i < 5; i++) {
      const client = await connect()
      clients.push(client)
      election(client)
        .campaign()
        .then(
          lease => won.push(lease),
          () => {},
        )
      await eventually(async () => (await candidates()) === i + 2)
    }
    // Requests of a session are answered in order, so after some of the test's own each candidate has come to rest.
    for (const client of clients) for (let i = 0; i < 5; i++) await client.sync()
    // The candidate behind the leader lists, takes office and looks at its znode; the others hear nothing.
    const deadlines = clients.map(client => client.sessionDeadlineMs)
    await first.release()
    await eventually(() => won.length === 1)
    const heard = clients.filter((client, i) => client.sessionDeadlineMs !== deadlines[i])
    expect(heard).toHaveLength(1)
  })

  test('observers - they see each leader in office and nobody in between', async () => {
    const seen: (string | null)[] = []
    const controller = new AbortController()
    const observing = (async () => {
      for await (const leader of election(zk).observe({ signal: controller.signal })) {
        seen.push(leader === null ? null : String(leader.data))
      }
    })()
    await eventually(() => seen.length === 1)
    const first = await election(await connect(), 'a').campaign()
    await eventually(() => seen.length === 2)
    await first.release()
    await eventually(() => seen.at(-1) === null)
    await election(await connect(), 'b').campaign()
    await eventually(() => seen.at(-1) === 'b')
    controller.abort()
    await observing
    expect(seen).toEqual([null, 'a', null, 'b'])
  })
})
