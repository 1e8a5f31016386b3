import { ZooKeeper, type ConnectOptions } from '@conclave/client'
import { nodePlatform, tlsNetwork, type TlsOptions } from '@conclave/core'
import { LeaderElection } from '@conclave/recipes'
import { EmbeddedServer } from '@conclave/server'
import { eventually, FaultProxy, temporaryFolder, testCertificates } from '@conclave/testing'
import { expect, test } from 'vitest'
import { describeEachEngine } from '../support/engines.ts'

/** What user code does that computes: nothing else of this thread runs meanwhile. */
function block(forMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, forMs)
}

/** All changes of state, and stalls, so far. */
function record(zk: ZooKeeper): string[] {
  const told: string[] = []
  zk.on('state', ({ state }) => told.push(state))
  zk.on('stalled', () => told.push('stalled'))
  return told
}

describeEachEngine('a blocked event loop', fixture => {
  const connect = (options: ConnectOptions): Promise<ZooKeeper> =>
    fixture.connect({ sessionTimeoutMs: 1_000, establishTimeoutMs: 10_000, ...options })

  test('without a thread - it costs the session', async () => {
    const zk = await connect({})
    const told = record(zk)
    block(3_000)
    await eventually(() => told.includes('lost'), { what: 'the loss of the session' })
  })

  test('with a thread - the session and what it holds live on, and that is known even meanwhile', async () => {
    const zk = await connect({ maxStallMs: 60_000 })
    const told = record(zk)
    const lease = await new LeaderElection(zk, '/election').campaign()
    block(3_000)
    expect(lease.isHeld()).toBe(true)
    expect(await zk.exists(lease.path)).toMatchObject({ ephemeralOwner: zk.session.sessionId })
    expect([lease.isHeld(), lease.signal.aborted, told]).toEqual([true, false, []])
    await lease.release()
  })

  test('longer than allowed - the lease ends, and the next candidate leads, though the session lives', async () => {
    const zk = await connect({ sessionTimeoutMs: 8_000, maxStallMs: 500 })
    const told = record(zk)
    const lease = await new LeaderElection(zk, '/election').campaign()
    const next = new LeaderElection(await connect({ sessionTimeoutMs: 8_000 }), '/election').campaign()
    block(1_500)
    expect(lease.isHeld()).toBe(false)
    const { fencingToken, release } = await next
    expect(fencingToken).toBeGreaterThan(lease.fencingToken)
    expect([lease.isHeld(), lease.signal.aborted, told]).toEqual([false, true, ['stalled']])
    expect(lease.signal.reason).toMatchObject({ code: 'LEASE_ENDED', reason: 'unproven' })
    await release()
  })

  test('far longer than allowed - the pings end, and the session with them', async () => {
    const zk = await connect({ maxStallMs: 500 })
    const told = record(zk)
    const lease = await new LeaderElection(zk, '/election').campaign()
    block(4_000)
    expect(lease.isHeld()).toBe(false)
    await eventually(() => told.at(-1) === 'connected', { what: 'the next session' })
    expect(told).toEqual(expect.arrayContaining(['stalled', 'lost']))
    expect(lease.signal.aborted).toBe(true)
  })

  test('a broken connection - the thread makes the next one, within the session', async () => {
    await using proxy = await FaultProxy.start(fixture.server.endpoint)
    const target = fixture.connectString.replace(/^[^/]+/, proxy.connectString)
    const zk = await ZooKeeper.connect(target, { maxStallMs: 60_000 })
    const { sessionId } = zk.session
    await zk.create('/large', Buffer.alloc(1_000_000, 'x'))
    proxy.cut()
    const large = Array.from({ length: 8 }, () => zk.setData('/large', Buffer.alloc(1_000_000, 'y')))
    await Promise.allSettled(large)
    expect((await zk.getData('/large')).data).toHaveLength(1_000_000)
    expect(zk.session.sessionId).toBe(sessionId)
    await zk.close()
  })
})

test('TLS - it is spoken in the thread, with both sides proven', async () => {
  const { authority, server: certificate, client } = testCertificates()
  const network = tlsNetwork({ ca: authority.cert, ...certificate, clientAuth: 'require' })
  const folder = temporaryFolder()
  const platform = { ...nodePlatform, network }
  const server = await EmbeddedServer.start({ dataDir: folder.path, port: 0, platform })
  const tls = (): TlsOptions => ({ ca: authority.cert, ...client })
  const zk = await ZooKeeper.connect(server.connectString, { tls, maxStallMs: 1_000 })
  await zk.create('/a', 'x'.repeat(100_000))
  expect((await zk.getData('/a')).stat.dataLength).toBe(100_000)
  await zk.close()
  await server.close()
  await folder.remove()
})

test('a platform of its own - cannot be taken into a thread, and is refused', async () => {
  const network = { connect: () => {}, listen: () => {}, lookup: () => {} } as never
  await expect(
    ZooKeeper.connect('127.0.0.1:1', { maxStallMs: 1_000, platform: { network } }),
  ).rejects.toThrow('maxStallMs needs the clock and the network of Node.js')
})
