import { closeSession, SessionExpiredError, ZooKeeper, type StateChange } from '@conclave/client'
import { eventually, FaultProxy } from '@conclave/testing'
import { expect, test } from 'vitest'
import { describeEachEngine } from '../support/engines.ts'

/** All changes of state so far, as one word each. */
function recordStates(zk: ZooKeeper): readonly StateChange['state'][] {
  const states: StateChange['state'][] = []
  zk.on('state', ({ state }) => states.push(state))
  return states
}

describeEachEngine('sessions', fixture => {
  test('sessions - the timeout is granted within 2 and 20 ticks', async () => {
    const granted = async (sessionTimeoutMs: number): Promise<number> =>
      (await fixture.connect({ sessionTimeoutMs, establishTimeoutMs: 10_000 })).session.negotiatedTimeoutMs
    expect(await granted(1)).toBe(1_000)
    expect(await granted(4_000)).toBe(4_000)
    expect(await granted(1_000_000)).toBe(10_000)
  })

  test('sessions - each has an id and a password of its own', async () => {
    const [one, two] = [await fixture.connect(), await fixture.connect()]
    expect(one.session.sessionId).not.toBe(two.session.sessionId)
    expect(one.session.sessionPassword).toHaveLength(16)
    expect(one.session.sessionPassword).not.toEqual(two.session.sessionPassword)
  })

  test('sessions - closing one removes its ephemerals, and only its own, before close resolves', async () => {
    const [zk, owner] = [await fixture.connect(), await fixture.connect()]
    await zk.create('/mine', null, { mode: 'ephemeral' })
    await owner.create('/a', null, { mode: 'ephemeral' })
    await owner.create('/b', null, { mode: 'ephemeral' })
    await owner.create('/stays')
    await owner.close()
    expect([...(await zk.getChildren('/')).children].sort()).toEqual(['mine', 'stays'])
  })

  test('sessions - one that falls silent expires, with its ephemerals', async () => {
    const zk = await fixture.connect()
    await using proxy = await FaultProxy.start(fixture.server.endpoint)
    const owner = await ZooKeeper.connect(fixture.connectString.replace(/^[^/]+/, proxy.connectString), {
      sessionTimeoutMs: 1_000,
      renewSession: false,
    })
    await owner.create('/e', null, { mode: 'ephemeral' })
    const states = recordStates(owner)
    proxy.hold()
    await eventually(async () => (await zk.exists('/e')) === null, { what: 'the ephemeral to go' })
    proxy.heal()
    await eventually(() => owner.state === 'closed', { what: 'the owner to learn of it' })
    expect(states).toEqual(['suspended', 'lost', 'closed'])
  })

  test('sessions - one that only pings lives on', async () => {
    const [zk, idle] = [await fixture.connect(), await fixture.connect({ sessionTimeoutMs: 2_000 })]
    await idle.create('/e', null, { mode: 'ephemeral' })
    const states = recordStates(idle)
    const { ctime } = (await zk.exists('/e'))!
    await eventually(() => Date.now() - ctime > 4_500, { what: 'two timeouts to pass' })
    expect(await zk.exists('/e')).not.toBeNull()
    expect(states).toEqual([])
  })

  test('sessions - a broken connection costs nothing but the connection', async () => {
    const zk = await fixture.connect()
    await using proxy = await FaultProxy.start(fixture.server.endpoint)
    const cut = await ZooKeeper.connect(fixture.connectString.replace(/^[^/]+/, proxy.connectString))
    const { sessionId } = cut.session
    await cut.create('/e', null, { mode: 'ephemeral' })
    const events: string[] = []
    await cut.exists('/seen-later', { watch: ({ type }) => events.push(type) })
    await cut.exists('/missed', { watch: ({ type }) => events.push(type) })
    proxy.refuse()
    proxy.cut()
    await eventually(() => cut.state === 'suspended')
    await zk.create('/missed')
    const reading = cut.getData('/e')
    proxy.heal()
    await reading
    expect(cut.session.sessionId).toBe(sessionId)
    await eventually(() => events.length === 1, { what: 'the missed event' })
    await zk.create('/seen-later')
    await eventually(() => events.length === 2, { what: 'the later event' })
    expect(events).toEqual(['nodeCreated', 'nodeCreated'])
    await cut.close()
  })

  test('sessions - another client can take one over, with its ephemerals', async () => {
    const zk = await fixture.connect()
    const first = await ZooKeeper.connect(fixture.connectString)
    await first.create('/e', null, { mode: 'ephemeral' })
    const { session } = first
    await first.detach()
    const second = await fixture.connect({ session })
    expect(second.session.sessionId).toBe(session.sessionId)
    expect(await zk.exists('/e')).not.toBeNull()
    await second.close()
    expect(await zk.exists('/e')).toBeNull()
  })

  test('sessions - one that is gone, or whose password is wrong, cannot be taken over', async () => {
    const [zk, gone] = [await fixture.connect(), await fixture.connect()]
    const { session } = gone
    await gone.close()
    await expect(fixture.connect({ session })).rejects.toThrow(SessionExpiredError)
    const guess = { sessionId: zk.session.sessionId, sessionPassword: Buffer.alloc(16, 1) }
    await expect(fixture.connect({ session: guess })).rejects.toThrow(SessionExpiredError)
    // Its owner may lose the connection by that, but not the session.
    expect(await zk.exists('/')).not.toBeNull()
    expect(zk.session.sessionId).toBe(guess.sessionId)
  })

  test('closeSession - ends the session of somebody else at once', async () => {
    const zk = await fixture.connect()
    const owner = await ZooKeeper.connect(fixture.connectString, { renewSession: false })
    await owner.create('/e', null, { mode: 'ephemeral' })
    expect(await closeSession(fixture.server.connectString, owner.session)).toBe(true)
    expect(await zk.exists('/e')).toBeNull()
    expect(await closeSession(fixture.server.connectString, owner.session)).toBe(false)
    await eventually(() => owner.state === 'closed')
  })

  test('restart - data, sessions and ephemerals outlive a server that is killed', async () => {
    const zk = await fixture.connect()
    await zk.create('/plain', 'x')
    await zk.create('/plain/child', null, { mode: 'container' })
    await zk.create('/e', 'y', { mode: 'ephemeral' })
    await zk.create('/s-', null, { mode: 'persistentSequential' })
    const { sessionId } = zk.session
    const before = await Promise.all(['/plain', '/e', '/s-0000000002'].map(path => zk.getData(path)))
    const states = recordStates(zk)
    await fixture.server.kill()
    await eventually(() => zk.state === 'suspended')
    await fixture.server.restart()
    const after = await Promise.all(['/plain', '/e', '/s-0000000002'].map(path => zk.getData(path)))
    expect(after).toEqual(before)
    expect(zk.session.sessionId).toBe(sessionId)
    expect(states).toEqual(['suspended', 'connected'])
    const { path, stat } = await zk.create('/s-', null, { mode: 'persistentSequential' })
    expect(path).toBe('/s-0000000003')
    expect(stat.czxid).toBeGreaterThan(before[2]!.stat.czxid)
    await zk.close()
    const other = await fixture.connect()
    expect([...(await other.getChildren('/')).children].sort()).toEqual([
      'plain',
      's-0000000002',
      's-0000000003',
    ])
  })
})
