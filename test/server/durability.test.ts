import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ConnectionLossError, ZooKeeper } from '@conclave/client'
import { EmbeddedServerProcess, eventually, leakGuard } from '@conclave/testing'
import { expect, test } from 'vitest'

const ROUNDS = 6
const WRITERS = 3
/** Requests that each writer keeps under way, so that a kill always hits some. */
const PIPELINED = 16
/** Small, so that kills also hit snapshots and new log files. */
const SNAP_COUNT = 300
/** The smallest that are filled with zeros, in KB. */
const FILLED_KB = 1024

/** What is written in each round, at the least. */
const LOADS = [
  { what: 'small batches', dataBytes: 10, writes: 200, snapCount: SNAP_COUNT },
  { what: 'batches for the thread of the log', dataBytes: 10_000, writes: 200, snapCount: SNAP_COUNT },
  { what: 'logs that are filled before', dataBytes: 300, writes: 1_500, snapCount: 1_000_000 },
]

/** Makes two znodes by one transaction, again and again, and notes what was acknowledged. */
class Writer {
  readonly #zk: ZooKeeper
  readonly #name: string
  readonly #dataBytes: number
  readonly acknowledged: string[] = []
  readonly attempted = new Set<string>()
  readonly failures: unknown[] = []
  #next = 0
  #isStopped = false

  constructor(zk: ZooKeeper, name: string, dataBytes: number) {
    this.#zk = zk
    this.#name = name
    this.#dataBytes = dataBytes
  }

  /** Goes on until `stop`; failures are noted, as all writes have that are under way when the server dies. */
  async write(): Promise<void> {
    this.#isStopped = false
    await Promise.all(Array.from({ length: PIPELINED }, () => this.#writeInTurn()))
  }

  stop(): void {
    this.#isStopped = true
  }

  async #writeInTurn(): Promise<void> {
    while (!this.#isStopped) {
      const name = `${this.#name}-${this.#next++}`
      this.attempted.add(name)
      const data = name.padEnd(this.#dataBytes)
      try {
        await this.#zk.multi([
          { op: 'create', path: `/left/${name}`, data },
          { op: 'create', path: `/right/${name}`, data },
        ])
        this.acknowledged.push(name)
      } catch (error) {
        this.failures.push(error)
      }
    }
  }
}

function threadCount({ pid }: EmbeddedServerProcess): number {
  return readdirSync(`/proc/${pid}/task`).length
}

test.each(LOADS)(
  'durability - whatever was acknowledged is there after SIGKILL, whole, and nothing else ($what)',
  async ({ dataBytes, writes, snapCount }) => {
    const assertClean = leakGuard()
    const server = await EmbeddedServerProcess.start({ snapCount, settings: { preAllocSize: FILLED_KB } })
    const clients = await Promise.all(
      Array.from({ length: WRITERS }, () =>
        ZooKeeper.connect(server.connectString, { establishTimeoutMs: 30_000 }),
      ),
    )
    const reader = clients[0]!
    const sessions = clients.map(({ session }) => session.sessionId)
    await reader.create('/left')
    await reader.create('/right')
    const writers = clients.map((zk, index) => new Writer(zk, `${index}`, dataBytes))
    const acknowledged = (): string[] => writers.flatMap(writer => writer.acknowledged)
    const threadsBefore = threadCount(server)
    let lastZxid = 0n

    for (let round = 1; round <= ROUNDS; round++) {
      const writing = writers.map(writer => writer.write())
      const goal = acknowledged().length + writes + 37 * round
      await eventually(() => acknowledged().length >= goal, { everyMs: 1, what: 'the writes of the round' })
      expect(threadCount(server) - threadsBefore).toBe(dataBytes > 1_000 ? 1 : 0)
      await server.kill()
      for (const writer of writers) writer.stop()
      await server.restart()
      await Promise.all(writing)

      const left = (await reader.getChildren('/left')).children
      const { children: right, stat } = await reader.getChildren('/right')
      expect([...left].sort()).toEqual([...right].sort())
      const present = new Set(left)
      expect(acknowledged().filter(name => !present.has(name))).toEqual([])
      expect(left.filter(name => !writers.some(writer => writer.attempted.has(name)))).toEqual([])
      expect(stat.pzxid).toBeGreaterThan(lastZxid)
      lastZxid = stat.pzxid
    }

    for (const failure of writers.flatMap(({ failures }) => failures)) {
      expect(failure).toBeInstanceOf(ConnectionLossError)
    }
    if (snapCount > SNAP_COUNT) {
      const logs = readdirSync(join(server.dataDir, 'version-2')).filter(name => name.startsWith('log.'))
      expect(logs.length).toBeGreaterThan(ROUNDS + 1)
    }
    // The sessions lived through all of it.
    await Promise.all(clients.map(zk => zk.sync()))
    expect(clients.map(({ session }) => session.sessionId)).toEqual(sessions)
    await Promise.all(clients.map(zk => zk.close()))
    await server.close()
    await assertClean()
  },
)
