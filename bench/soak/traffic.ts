import { create, createModeToFlags, OPEN_ACL } from '@conclave/protocol'
import { eventually, RawSession } from '@conclave/testing'
import { setTimeout as sleep } from 'node:timers/promises'
import * as rude from './rude-habits.ts'
import { monitored } from './samples.ts'
import { ok, ROOT, WrongAnswerError, type Habit } from './scene.ts'
import * as sessions from './session-habits.ts'
import type { SoakedServer } from './soaked-server.ts'
import * as znodes from './znode-habits.ts'

const { LARGE, LARGE_BYTES, ...rudeHabits } = rude
const { KEYS, ...znodeHabits } = znodes

export const HABITS: Readonly<Record<string, Habit>> = { ...sessions, ...znodeHabits, ...rudeHabits }

/** Between two visits of one lane: the server has other things to do as well. */
const PAUSE_MS = 15
/** Until the last session has expired, and the last znode been cleaned away, on a machine that does other things too. */
const REST_MS = 20_000

/** Visitors, some of each habit at a time, who can be asked to stay away for a while. */
export class Traffic {
  /** Rejects when the server has done what it should not, or is gone. */
  readonly failed: Promise<never>
  /** By habit. */
  readonly visits = new Map<string, number>()
  /** Visits that ended with their connection: on a busy machine a session may expire before its first answer. */
  readonly cutShort = new Map<string, number>()
  readonly #server: SoakedServer
  /** Znodes before anybody came. */
  #znodeCount = 0
  #present = 0
  #isResting = true
  #isOver = false
  #fail!: (error: Error) => void

  private constructor(server: SoakedServer) {
    this.#server = server
    this.failed = new Promise((_resolve, reject) => (this.#fail = reject))
    this.failed.catch(() => {})
  }

  /** Makes the znodes below which all takes place, and all values, so that there never are more; nobody has come yet. */
  static async prepare(server: SoakedServer): Promise<Traffic> {
    const traffic = new Traffic(server)
    await using session = await RawSession.connect(server.endpoint)
    const folders = ['', '/sessions', '/values', '/transactions', '/watched', '/guarded', '/perishable']
    const values = Array.from({ length: KEYS }, (_, key) => `/values/${key}`)
    const flags = createModeToFlags('persistent')
    // Whoever sets quotas below it expects it there.
    await ok(session.call(create, { path: `/zookeeper/quota${ROOT}`, data: null, acl: OPEN_ACL, flags }))
    for (const below of [...folders, ...values]) {
      await ok(session.call(create, { path: ROOT + below, data: null, acl: OPEN_ACL, flags }))
    }
    const data = Buffer.alloc(LARGE_BYTES, 'x')
    await ok(session.call(create, { path: LARGE, data, acl: OPEN_ACL, flags }))
    traffic.#znodeCount = (await monitored(server))('znode_count')
    return traffic
  }

  /** Lets visitors of these habits come, so many of each at a time. */
  begin(names: readonly string[], lanes: number): void {
    this.#isResting = false
    for (const name of names) for (let i = 0; i < lanes; i++) void this.#lane(name, HABITS[name]!)
  }

  /**
   * Keeps visitors away until `resume`; resolves when all have gone, and what they left to the server as well, to what is
   * there all the same, in words, or nothing.
   */
  async rest(): Promise<string> {
    this.#isResting = true
    await eventually(() => this.#present === 0, { timeoutMs: 120_000, what: 'the last visitor to leave' })
    await eventually(async () => (await this.#leftOver()) === '', {
      timeoutMs: REST_MS,
      everyMs: 100,
    }).catch(() => {})
    return this.#leftOver()
  }

  resume(): void {
    this.#isResting = false
  }

  /** Nobody comes any more. */
  end(): void {
    this.#isOver = true
  }

  async #leftOver(): Promise<string> {
    const told = await monitored(this.#server)
    const counts: Record<string, number> = {
      sessions: told('global_sessions'),
      watches: told('watch_count'),
      ephemerals: told('ephemerals_count'),
      'outboxes waiting': told('outstanding_requests'),
      // The one that asks is a connection itself.
      connections: told('num_alive_connections') - 1,
      znodes: told('znode_count') - this.#znodeCount,
    }
    const left = Object.entries(counts).filter(([, count]) => count !== 0)
    return left.map(([name, count]) => `${count} ${name}`).join(', ')
  }

  async #lane(name: string, habit: Habit): Promise<void> {
    while (!this.#isOver) {
      if (!this.#isResting) await this.#visit(name, habit)
      await sleep(PAUSE_MS)
    }
  }

  async #visit(name: string, habit: Habit): Promise<void> {
    const turn = count(this.visits, name)
    this.#present++
    try {
      await habit({ server: this.#server, turn })
    } catch (error) {
      if (error instanceof WrongAnswerError || !this.#server.isRunning) {
        this.end()
        this.#fail(new Error(`${name}, visit ${turn}`, { cause: error }))
      }
      count(this.cutShort, name)
    }
    this.#present--
  }
}

/** One more; returns how many there were. */
function count(counts: Map<string, number>, name: string): number {
  const before = counts.get(name) ?? 0
  counts.set(name, before + 1)
  return before
}
