import { messageOf } from '@conclave/core'
import { closeSession, ping } from '@conclave/protocol'
import { ApacheZooKeeper, EmbeddedServerProcess, RawSession } from '@conclave/testing'
import { expect, test } from 'vitest'
import type { RunningServer } from '../support/engines.ts'
import { comparable, comparableEvents } from './comparison.ts'
import { RandomOperations, SeededRandom, type RandomOperation } from './random-operations.ts'

const SESSIONS = 3
const SEED = Number(process.env['CONCLAVE_SEED'] ?? 1)
/** `Infinity`: until they differ. */
const COUNT = Number(process.env['CONCLAVE_OPERATIONS'] ?? 4_000)
/** So many operations come between two comparisons of the events. */
const EVENTS_EVERY = 2_000
/** So many operations come between two disturbances. */
const CALM = 250
const TIMEOUT_MS = 40_000

type Disturbance = 'reconnect' | 'newSession' | 'wrongPassword' | 'restart'
const DISTURBANCES: readonly Disturbance[] = ['reconnect', 'newSession', 'wrongPassword', 'restart']

/** A server and the sessions that the test has with it. */
class Side {
  readonly server: RunningServer
  sessions: RawSession[] = []
  /** Every connection there ever was. */
  readonly all: RawSession[] = []

  constructor(server: RunningServer) {
    this.server = server
  }

  async open(): Promise<void> {
    for (let i = 0; i < SESSIONS; i++) await this.#connect(i)
  }

  async #connect(i: number, old?: RawSession): Promise<void> {
    const { endpoint } = this.server
    const session = await RawSession.connect(endpoint, { timeoutMs: TIMEOUT_MS, ...old?.granted })
    this.sessions[i] = session
    this.all.push(session)
  }

  /** What the server makes of an operation, down to ending the connection. */
  async run({ session, operation, request }: RandomOperation): Promise<string> {
    try {
      return comparable(await this.sessions[session]!.call(operation, request), this.sessions)
    } catch (error) {
      return messageOf(error)
    }
  }

  /** Resolves to what can be compared of it. */
  async disturb(kind: Disturbance, i: number): Promise<string> {
    const session = this.sessions[i]!
    switch (kind) {
      case 'reconnect':
        await this.#connect(i, session)
        await session.ended
        return `granted ${this.sessions[i]!.granted.timeoutMs}`
      case 'newSession': {
        const { zxid, errorCode } = await session.call(closeSession, undefined)
        await session.ended
        await this.#connect(i)
        return `closed ${zxid} ${errorCode}`
      }
      case 'wrongPassword': {
        const { sessionId } = session
        const refused = await RawSession.connect(this.server.endpoint, {
          sessionId,
          password: Buffer.alloc(16, 1),
        })
        await refused.ended
        await session.ended
        await this.#connect(i, session)
        return `refused ${refused.granted.timeoutMs} ${refused.sessionId}`
      }
      case 'restart':
        await this.server.kill()
        await this.server.restart()
        for (const [at, old] of this.sessions.entries()) await this.#connect(at, old)
        return 'restarted'
    }
  }

  /** The events since the last time, of each session that there was: all are here when a ping is answered. */
  async takeEvents(): Promise<string[][]> {
    await Promise.all(this.sessions.map(session => session.call(ping, undefined).catch(() => undefined)))
    return this.all
      .splice(0, Infinity, ...this.sessions)
      .map(({ events }) => comparableEvents(events.splice(0)))
  }

  async close(): Promise<void> {
    for (const session of this.sessions) await session.close()
  }
}

// After a restart Apache's server counts quotas anew, the embedded one where it reads a snapshot: so not both at once.
test.each([
  { what: 'with reconnects and restarts', calm: CALM, quotas: false },
  { what: 'with quotas', calm: Infinity, quotas: true },
])(
  `differential - Apache ZooKeeper and the embedded server answer alike, $what (seed ${SEED})`,
  async ({ calm, quotas }) => {
    await using apache = await ApacheZooKeeper.start()
    await using embedded = await EmbeddedServerProcess.start()
    const sides = [new Side(apache), new Side(embedded)] as const
    await Promise.all(sides.map(side => side.open()))
    const operations = new RandomOperations(SEED, SESSIONS, { quotas })
    const random = new SeededRandom(SEED + 1)
    for (let i = 1; i <= COUNT; i++) {
      const operation = operations.next()
      const [expected, actual] = await Promise.all(sides.map(side => side.run(operation)))
      expect(actual, `seed ${SEED}, operation ${i}: ${describe(operation)}`).toBe(expected)
      if (i % EVENTS_EVERY === 0 || i === COUNT) {
        const [theirs, ours] = await Promise.all(sides.map(side => side.takeEvents()))
        expect(ours, `seed ${SEED}, events up to operation ${i}`).toEqual(theirs)
        if (COUNT === Infinity) process.stdout.write(`seed ${SEED}: ${i} operations alike\n`)
      }
      if (i % calm !== 0) continue
      const kind = random.pick(DISTURBANCES)
      const which = random.below(SESSIONS)
      const [first, second] = await Promise.all(sides.map(side => side.disturb(kind, which)))
      expect(second, `seed ${SEED}, ${kind} of session ${which} after operation ${i}`).toBe(first)
    }
    await Promise.all(sides.map(side => side.close()))
  },
  COUNT === Infinity ? 2 ** 31 - 1 : 600_000,
)

function describe({ session, operation, request }: RandomOperation): string {
  const text = JSON.stringify(request, (_, value: unknown) =>
    typeof value === 'bigint' ? Number(value) : value,
  )
  return `session ${session} ${operation.name} ${text}`
}
