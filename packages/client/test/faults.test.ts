import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ZooKeeperError } from '@conclave/client'
import { settle } from '@conclave/testing'
import { Simulation } from './support/simulation.ts'

const PATHS = ['/a', '/b']

const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('read' as const), path: fc.constantFrom(...PATHS) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('write' as const), path: fc.constantFrom(...PATHS) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('foreignWrite' as const), path: fc.constantFrom(...PATHS) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('abortedRead' as const, 'abortedWrite' as const),
      path: fc.constantFrom(...PATHS),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('cut' as const),
      direction: fc.constantFrom('toServer' as const, 'toClient' as const),
      bytes: fc.nat(120),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('expire' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('silence' as const, 'stop' as const), ms: fc.nat(10_000) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('turn' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat(4_000) }) },
)

/** One read with a watch, from its answer on. */
interface Watch {
  readonly path: string
  readonly version: number
  fired: boolean
}

/**
 * Random requests under random faults, then a healthy network again. What must hold: every promise settles; each
 * error says what is true of the write; a watch is called at most once, after the reply that set it and before any
 * reply that shows the change; and nothing is left behind.
 */
test('faults - no request is left unsettled and no event comes out of order', async () => {
  const run = async (
    actions: readonly (typeof action extends fc.Arbitrary<infer A> ? A : never)[],
  ): Promise<void> => {
    const simulation = new Simulation()
    const { clock, network, ensemble } = simulation
    for (const path of PATHS) ensemble.set(path, '')
    const zk = await simulation.connect()
    const watches = new Set<Watch>()
    let unsettled = 0
    let writes = 0
    /** The data of writes that were confirmed, and of those that are known not to have been applied. */
    const applied = new Set<string>()
    const notApplied = new Set<string>()
    const written = new Map<string, number>()
    const track = (promise: Promise<unknown>): void => {
      unsettled++
      promise
        .catch((error: unknown) => expect(error).toBeInstanceOf(ZooKeeperError))
        .finally(() => unsettled--)
        .catch((error: unknown) => failures.push(error))
    }
    const failures: unknown[] = []
    const read = (path: string, signal?: AbortSignal): void => {
      const watch: Watch = { path, version: -1, fired: false }
      let answered = false
      const whenAnswered = zk
        .getData(path, {
          signal,
          watch: () => {
            expect([answered, watch.fired]).toEqual([true, false])
            watch.fired = true
          },
        })
        .then(({ stat }) => {
          answered = true
          for (const each of watches) {
            if (each.path === path && !each.fired) expect(stat.version).toBe(each.version)
          }
          Object.assign(watch, { version: stat.version })
          watches.add(watch)
        })
      track(whenAnswered)
    }
    const write = (path: string, signal?: AbortSignal): void => {
      const data = `w${writes++}`
      const whenAnswered = zk.setData(path, data, { signal }).then(
        () => applied.add(data),
        (error: ZooKeeperError) => {
          if (error.outcome === 'not-applied') notApplied.add(data)
          throw error
        },
      )
      track(whenAnswered)
    }
    const { set } = ensemble
    ensemble.set = (path, data) => {
      if (data !== null) written.set(data, (written.get(data) ?? 0) + 1)
      return set.call(ensemble, path, data)
    }
    for (const step of actions) {
      switch (step.do) {
        case 'read':
          read(step.path)
          break
        case 'abortedRead':
        case 'abortedWrite': {
          const controller = new AbortController()
          const request = step.do === 'abortedRead' ? read : write
          request(step.path, controller.signal)
          setImmediate(() => controller.abort())
          break
        }
        case 'write':
          write(step.path)
          break
        case 'foreignWrite':
          ensemble.set(step.path, 'foreign')
          break
        case 'cut':
          network.last?.cutAfter(step.direction, step.bytes)
          break
        case 'expire':
          ensemble.expire(zk.session.sessionId)
          break
        case 'silence':
          network.isSilent = true
          await clock.advance(step.ms)
          network.isSilent = false
          break
        case 'stop':
          network.stop('zk1')
          await clock.advance(step.ms)
          network.serve('zk1', ensemble.accept)
          break
        case 'turn':
          await settle()
          break
        case 'pass':
          await clock.advance(step.ms)
      }
    }
    for (const connection of network.connections) connection.cutAfter('toServer', Infinity)
    for (const connection of network.connections) connection.cutAfter('toClient', Infinity)
    await clock.advance(30_000)
    expect([unsettled, zk.state, failures]).toEqual([0, 'connected', []])
    for (const data of applied) expect(written.get(data)).toBe(1)
    for (const data of notApplied) expect(written.get(data)).toBeUndefined()
    for (const [data, times] of written) if (data.startsWith('w')) expect(times).toBe(1)
    // Whoever watches now is told of the next change.
    for (const path of PATHS) ensemble.set(path, 'last')
    await settle()
    for (const watch of watches) expect(watch.fired).toBe(true)
    await zk.close()
    await settle()
    expect(ensemble.sessions.has(zk.session.sessionId)).toBe(false)
    expect([clock.timers, network.connections.size]).toEqual([0, 0])
  }
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 60, size: 'max' }), async actions => {
      const thrown: unknown[] = []
      const onThrown = (error: unknown): void => void thrown.push(error)
      const listeners = process.rawListeners('uncaughtException') as ((error: Error) => void)[]
      process.removeAllListeners('uncaughtException')
      process.on('uncaughtException', onThrown)
      try {
        await run(actions)
      } finally {
        process.off('uncaughtException', onThrown)
        for (const listener of listeners) process.on('uncaughtException', listener)
      }
      // What a watcher asserted.
      expect(thrown).toEqual([])
    }),
    { numRuns: 300 },
  )
}, 60_000)
