import { closeSession, ZooKeeper } from '@conclave/client'
import { ServiceRegistry, type ServiceInstance } from '@conclave/discovery'
import { LeaderElection } from '@conclave/recipes'
import { eventually, FaultProxy } from '@conclave/testing'
import { expect, test } from 'vitest'
import { describeEachEngine } from '../support/engines.ts'

describeEachEngine('leader election', fixture => {
  test('ten candidates - each leads once, in the order in which they came, with growing tokens', async () => {
    const observer = await fixture.connect()
    await observer.create('/election')
    const order: number[] = []
    const tokens: bigint[] = []
    let leading = 0
    const campaigns: Promise<void>[] = []
    for (let i = 0; i < 10; i++) {
      const campaign = async (): Promise<void> => {
        const lease = await new LeaderElection(await fixture.connect(), '/election').campaign()
        order.push(i)
        tokens.push(lease.fencingToken)
        expect(++leading).toBe(1)
        await observer.multi([lease.check, { op: 'setData', path: '/election', data: `${i}` }])
        leading--
        await lease.release()
      }
      campaigns.push(campaign())
      // `cversion` counts deletions too, and those before are leaving already.
      const entered = async (): Promise<boolean> => {
        const { cversion, numChildren } = (await observer.exists('/election'))!
        return (cversion + numChildren) / 2 > i
      }
      await eventually(entered, { what: `candidate ${i}` })
    }
    await Promise.all(campaigns)
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(tokens).toEqual([...tokens].sort((a, b) => (a < b ? -1 : 1)))
    expect((await observer.getChildren('/election')).children).toEqual([])
  })

  test('observers - see each leader come and go', async () => {
    const zk = await fixture.connect()
    const leaders = new LeaderElection(zk, '/election').observe()
    expect((await leaders.next()).value).toBeNull()
    const election = new LeaderElection(await fixture.connect(), '/election', { data: 'one' })
    const lease = await election.campaign()
    expect((await leaders.next()).value).toMatchObject({ fencingToken: lease.fencingToken })
    await lease.release()
    expect((await leaders.next()).value).toBeNull()
    await leaders.return!()
  })

  test('a leader whose server is killed and comes back leads on, within its session', async () => {
    const zk = await fixture.connect()
    const lease = await new LeaderElection(zk, '/election').campaign()
    await fixture.server.kill()
    await fixture.server.restart()
    await zk.sync()
    expect([lease.isHeld(), lease.signal.aborted]).toEqual([true, false])
    await zk.multi([lease.check])
    await lease.release()
  })

  test('a dead leader - whoever closes its session lets the next one lead', async () => {
    const leader = await ZooKeeper.connect(fixture.connectString, { renewSession: false })
    const lease = await new LeaderElection(leader, '/election').campaign()
    const next = new LeaderElection(await fixture.connect(), '/election').campaign()
    expect(await closeSession(fixture.server.connectString, leader.session)).toBe(true)
    expect((await next).fencingToken).toBeGreaterThan(lease.fencingToken)
    await eventually(() => lease.signal.aborted, { what: 'the end of the lease' })
    await eventually(() => leader.state === 'closed', { what: 'the end of the client' })
  })
})

describeEachEngine('service discovery', fixture => {
  test('instances - come, change and go before the eyes of a cache', async () => {
    const [zk, other] = [await fixture.connect(), await fixture.connect()]
    const cache = new ServiceRegistry(zk, '/services').instances('web')
    const told: string[] = []
    for (const name of ['added', 'changed', 'removed'] as const) {
      cache.on(name, ({ id }: ServiceInstance) => told.push(`${name} ${id}`))
    }
    await cache.start()
    const registry = new ServiceRegistry(other, '/services')
    const description = {
      serviceName: 'web',
      id: 'a',
      address: '127.0.0.1',
      port: 80,
      payload: { weight: 1 },
    }
    const registration = await registry.register(description)
    await eventually(() => told.length === 1, { what: 'the instance' })
    await registration.update({ weight: 2 })
    await eventually(() => told.length === 2, { what: 'its change' })
    expect(cache.current).toMatchObject([{ ...description, payload: { weight: 2 } }])
    await registration.unregister()
    await eventually(() => told.length === 3, { what: 'its end' })
    expect(told).toEqual(['added a', 'changed a', 'removed a'])
    await cache.close()
  })

  test('a session that is lost - what was registered comes back with the next one', async () => {
    const zk = await fixture.connect()
    await using proxy = await FaultProxy.start(fixture.server.endpoint)
    const target = fixture.connectString.replace(/^[^/]+/, proxy.connectString)
    const owner = await ZooKeeper.connect(target)
    const { sessionId } = owner.session
    await new ServiceRegistry(owner, '/services').register({ serviceName: 'web', id: 'a', address: 'host' })
    expect((await zk.exists('/services/web/a'))!.ephemeralOwner).toBe(sessionId)
    expect(await closeSession(fixture.server.connectString, owner.session)).toBe(true)
    await eventually(
      async () => (await zk.exists('/services/web/a'))?.ephemeralOwner === owner.session.sessionId,
      {
        what: 'the registration of the next session',
      },
    )
    expect(owner.session.sessionId).not.toBe(sessionId)
    await owner.close()
    expect(await zk.exists('/services/web/a')).toBeNull()
  })
})
