import { ConnectionLossError, NoNodeError, ZooKeeper } from '@conclave/client'
import { EmbeddedServerProcess, eventually, FaultProxy, leakGuard, type Direction } from '@conclave/testing'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'

let assertClean: () => Promise<void>
let server: EmbeddedServerProcess
/** Sees the truth, past the proxy. */
let witness: ZooKeeper
let proxy: FaultProxy

beforeAll(async () => {
  assertClean = leakGuard()
  server = await EmbeddedServerProcess.start()
  witness = await ZooKeeper.connect(server.connectString)
})

beforeEach(async () => {
  proxy = await FaultProxy.start(server.endpoint)
})

afterEach(() => proxy.close())

afterAll(async () => {
  await witness.close()
  await server.close()
  await assertClean()
})

/** Cuts one byte later each time, until all of `run` passed before the cut. Gives the number of cuts. */
async function cutAtEveryByte(direction: Direction, run: (atByte: number) => Promise<void>): Promise<number> {
  for (let atByte = 0; ; atByte++) {
    const before = proxy.passedBytes(direction)
    proxy.cutAfter(direction, atByte)
    await run(atByte)
    const passed = proxy.passedBytes(direction) - before
    proxy.heal()
    if (passed < atByte) return atByte
  }
}

test.for<Direction>(['toServer', 'toClient'])(
  'connect - gets its session wherever the connection breaks %s',
  async direction => {
    const cuts = await cutAtEveryByte(direction, async () => {
      const zk = await ZooKeeper.connect(proxy.connectString)
      // What is sent after it must not run into the cut.
      proxy.heal()
      await zk.close()
    })
    expect(cuts).toBeGreaterThan(40)
  },
)

test.for<Direction>(['toServer', 'toClient'])(
  'create - a write ends with the truth about it, wherever the connection breaks %s',
  async direction => {
    const zk = await ZooKeeper.connect(proxy.connectString)
    const { sessionId } = zk.session
    const outcomes = new Set<string>()
    const folder = `/create-${direction}`
    await witness.create(folder)
    const cuts = await cutAtEveryByte(direction, async atByte => {
      const path = `${folder}/${atByte}`
      const [written, read] = await Promise.allSettled([zk.create(path), zk.exists(folder)])
      // Reads are sent again, so the cut never shows in them.
      expect(read.status).toBe('fulfilled')
      const isThere = (await witness.exists(path)) !== null
      if (written.status === 'fulfilled') {
        outcomes.add('applied')
        expect(isThere, `${path}, created`).toBe(true)
      } else {
        expect(written.reason).toBeInstanceOf(ConnectionLossError)
        const { outcome } = written.reason as ConnectionLossError
        outcomes.add(outcome)
        if (outcome === 'not-applied') expect(isThere, `${path}, not created`).toBe(false)
      }
    })
    expect(cuts).toBeGreaterThan(50)
    expect(outcomes).toContain('applied')
    expect(outcomes).toContain('unknown')
    expect(zk.session.sessionId).toBe(sessionId)
    await zk.close()
  },
)

test.for<Direction>(['toServer', 'toClient'])(
  'retryWrites - writes that may be done twice succeed wherever the connection breaks %s',
  async direction => {
    const zk = await ZooKeeper.connect(proxy.connectString, { retryWrites: true })
    const folder = `/retried-${direction}`
    await witness.create(folder)
    const unknown = new Set<string>()
    const cuts = await cutAtEveryByte(direction, async atByte => {
      const path = `${folder}/${atByte}`
      await witness.create(path)
      const [written, conditional, removed] = await Promise.allSettled([
        zk.setData(folder, `${atByte}`),
        zk.setData(path, 'x', { expectedVersion: 0 }),
        zk.delete(path),
      ])
      expect([written.status, removed.status]).toEqual(['fulfilled', 'fulfilled'])
      expect((await witness.getData(folder)).data?.toString()).toBe(`${atByte}`)
      expect(await witness.exists(path)).toBeNull()
      if (conditional.status === 'rejected') unknown.add((conditional.reason as ConnectionLossError).outcome)
    })
    expect(cuts).toBeGreaterThan(50)
    expect(unknown).toContain('unknown')
    await expect(zk.delete(`${folder}/0`)).rejects.toBeInstanceOf(NoNodeError)
    await zk.close()
  },
)

test.for<Direction>(['toServer', 'toClient'])(
  'createProtected - makes exactly one znode wherever the connection breaks %s',
  async direction => {
    const zk = await ZooKeeper.connect(proxy.connectString)
    const folder = `/protected-${direction}`
    await witness.create(folder)
    let made = 0
    await cutAtEveryByte(direction, async () => {
      const { path, stat } = await zk.createProtected(`${folder}/n-`, 'mine', { mode: 'ephemeralSequential' })
      made++
      expect(stat.ephemeralOwner).toBe(zk.session.sessionId)
      const { children } = await witness.getChildren(folder)
      expect(children).toHaveLength(made)
      expect(children.map(name => `${folder}/${name}`)).toContain(path)
    })
    await zk.close()
    expect((await witness.getChildren(folder)).children).toEqual([])
  },
)

test('watches - none is lost and none comes twice wherever the connection breaks', async () => {
  const zk = await ZooKeeper.connect(proxy.connectString)
  await witness.create('/watched', '0')
  await cutAtEveryByte('toClient', async atByte => {
    let events = 0
    const { stat } = await zk.getData('/watched', { watch: () => events++ })
    await witness.setData('/watched', `${atByte}`)
    await eventually(() => events > 0, { what: `the event of change ${stat.version + 1}` })
    // An answer from after the change: an event that was sent twice would be here by now.
    await zk.sync()
    expect(events).toBe(1)
  })
  await zk.close()
})
