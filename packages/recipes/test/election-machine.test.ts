import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ElectionMachine, type ElectionEffect, type ElectionEvent } from '../src/election-machine.ts'
import { inOrder } from '../src/candidates.ts'

const MARGIN_MS = 100
const SESSION_MS = 1_000

interface Znode {
  readonly name: string
  readonly session: number
  version: number
  mzxid: bigint
}

/** A request on its way, and then its answer on its way back. */
interface Message {
  readonly to: 'ensemble' | 'candidate'
  readonly connection: number
  run(): void
  /** Done when the message was lost with its connection. */
  lost?(): void
}

/** One candidate: its machine, its connection, and what it believes. */
class Candidate {
  readonly machine = new ElectionMachine({ marginMs: MARGIN_MS })
  session = 0
  connected = true
  connection = 0
  /** Until when this candidate can prove its session. */
  deadlineMs = 0
  leaseToken: bigint | undefined
  ended: string | undefined
  messages: Message[] = []
  /** What waits for the next connection within the session. */
  waiting: (() => void)[] = []
}

/**
 * An ensemble and candidates under an interleaving chosen by the test: which message arrives next, who is cut off,
 * whose session expires, who resigns. Requests and answers can be lost with the connection; sessions expire on the
 * server no earlier than a candidate's own deadline.
 */
class Election {
  nowMs = 0
  zxid = 0n
  sequence: number
  znodes = new Map<string, Znode>()
  watches: { readonly candidate: Candidate; readonly name: string; readonly own: boolean }[] = []
  readonly candidates: Candidate[] = []
  /** Writes that were accepted with the token that vouched for them. */
  readonly accepted: bigint[] = []
  someWereDeleted = false
  #nextSession = 1

  constructor(size: number, firstSequence: number) {
    this.sequence = firstSequence
    for (let i = 0; i < size; i++) {
      const candidate = new Candidate()
      candidate.session = this.#nextSession++
      candidate.deadlineMs = SESSION_MS
      this.candidates.push(candidate)
      this.step(candidate, { type: 'start', connected: true })
    }
  }

  step(candidate: Candidate, event: ElectionEvent): void {
    const effects = candidate.machine.step({ ...event, nowMs: this.nowMs })
    candidate.machine.validate()
    for (const effect of effects) this.run(candidate, effect)
  }

  /**
   * A request reaches the ensemble later, its answer the candidate later still. Lost with the connection it fails;
   * or, where it is `protected`, it is made again, and finds what the lost one did.
   */
  request(
    candidate: Candidate,
    attempt: number,
    serve: () => ElectionEvent | undefined,
    isProtected = false,
  ): void {
    const { connection } = candidate
    const again = (): void => this.request(candidate, attempt, serve, isProtected)
    const fail = (): void => {
      candidate.messages.push({
        to: 'candidate',
        connection: -1,
        run: () => this.step(candidate, { type: 'failed', attempt, kind: 'uncertain' }),
      })
    }
    const lost = isProtected ? () => void candidate.waiting.push(again) : fail
    if (!candidate.connected) return void candidate.waiting.push(again)
    const sentMs = this.nowMs
    candidate.messages.push({
      to: 'ensemble',
      connection,
      lost,
      run: () => {
        const answer = serve()
        candidate.messages.push({
          to: 'candidate',
          connection,
          lost,
          run: () => {
            candidate.deadlineMs = Math.max(candidate.deadlineMs, sentMs + SESSION_MS)
            if (answer !== undefined) this.step(candidate, answer)
          },
        })
      },
    })
  }

  run(candidate: Candidate, effect: ElectionEffect): void {
    const { session } = candidate
    switch (effect.type) {
      case 'enter':
        return this.request(candidate, effect.attempt, () => this.enter(session, effect.attempt), true)
      case 'list':
        return this.request(candidate, effect.attempt, () => {
          return { type: 'listed', attempt: effect.attempt, children: [...this.znodes.keys()] }
        })
      case 'watchPredecessor':
        return this.request(candidate, effect.attempt, () => {
          if (!this.znodes.has(effect.name)) return { type: 'failed', attempt: effect.attempt, kind: 'gone' }
          this.watches.push({ candidate, name: effect.name, own: false })
          return undefined
        })
      case 'takeOffice':
        return this.request(candidate, effect.attempt, () => {
          const znode = this.znodes.get(effect.name)
          if (znode === undefined) return { type: 'failed', attempt: effect.attempt, kind: 'gone' }
          znode.version++
          znode.mzxid = ++this.zxid
          const { mzxid: fencingToken, version } = znode
          return { type: 'officeTaken', attempt: effect.attempt, fencingToken, version }
        })
      case 'verify':
        return this.request(candidate, effect.attempt, () => {
          const mine = this.znodes.get(effect.name)?.session === session
          this.watches.push({ candidate, name: effect.name, own: true })
          return { type: 'verified', attempt: effect.attempt, mine }
        })
      case 'withdraw':
        // Tried until it is gone, so no more is needed here than that it happens some time.
        candidate.messages.push({ to: 'ensemble', connection: -1, run: () => this.remove(effect.name) })
        return
      case 'elected':
        candidate.leaseToken = effect.fencingToken
        return
      case 'ended':
        candidate.leaseToken = undefined
        candidate.ended = effect.reason
    }
  }

  enter(session: number, attempt: number): ElectionEvent {
    const prefix = `_c_s${session}-${attempt}-latch-`
    const found = [...this.znodes.keys()].find(name => name.startsWith(prefix))
    const name = found ?? prefix + formatSequence(this.sequence)
    if (found === undefined) {
      this.sequence = (this.sequence + 1) | 0
      this.znodes.set(name, { name, session, version: 0, mzxid: ++this.zxid })
    }
    return { type: 'entered', attempt, name }
  }

  remove(name: string): void {
    if (!this.znodes.delete(name)) return
    this.zxid++
    const fired = this.watches.filter(watch => watch.name === name)
    this.watches = this.watches.filter(watch => watch.name !== name)
    for (const { candidate, own } of fired) {
      const event: ElectionEvent = { type: own ? 'ownChanged' : 'predecessorChanged' }
      candidate.messages.push({
        to: 'candidate',
        connection: candidate.connection,
        run: () => this.step(candidate, event),
      })
    }
  }

  /** The oldest message that is due in one direction; a connection keeps its order. */
  deliver(candidate: Candidate, to: 'ensemble' | 'candidate'): void {
    const at = candidate.messages.findIndex(message => message.to === to)
    if (at === -1) return
    const [message] = candidate.messages.splice(at, 1)
    if (message!.connection === -1 || message!.connection === candidate.connection) message!.run()
  }

  disconnect(candidate: Candidate): void {
    if (!candidate.connected) return
    candidate.connected = false
    const { connection } = candidate
    // What was on its way to the ensemble may still arrive there; its answer will not arrive here.
    const onTheWay = candidate.messages.filter(({ to }) => to === 'ensemble')
    if (connection % 2 === 0) for (const message of onTheWay) this.deliver(candidate, message.to)
    candidate.connection++
    const lost = candidate.messages.filter(message => message.connection === connection)
    candidate.messages = candidate.messages.filter(message => message.connection !== connection)
    for (const message of lost) message.lost?.()
  }

  reconnect(candidate: Candidate): void {
    if (candidate.connected) return
    candidate.connected = true
    if (candidate.session === 0) {
      candidate.waiting = []
      this.step(candidate, { type: 'lost' })
      candidate.session = this.#nextSession++
    } else {
      for (const again of candidate.waiting.splice(0)) again()
      // Watches are set again: what went meanwhile is told at once.
      for (const watch of this.watches.filter(
        each => each.candidate === candidate && !this.znodes.has(each.name),
      )) {
        this.watches = this.watches.filter(each => each !== watch)
        this.step(candidate, { type: watch.own ? 'ownChanged' : 'predecessorChanged' })
      }
    }
    candidate.deadlineMs = this.nowMs + SESSION_MS
    this.step(candidate, { type: 'connected' })
  }

  /** The ensemble expires a session that was silent long enough; the candidate hears of it when it reconnects. */
  expire(candidate: Candidate): void {
    if (candidate.connected || candidate.session === 0) return
    this.pass(Math.max(0, candidate.deadlineMs - this.nowMs))
    const { session } = candidate
    candidate.session = 0
    for (const znode of [...this.znodes.values()]) if (znode.session === session) this.remove(znode.name)
    this.watches = this.watches.filter(watch => watch.candidate !== candidate)
  }

  /** Time passes in small steps, and each candidate's lease timer fires in time. */
  pass(forMs: number): void {
    const endMs = this.nowMs + forMs
    while (this.nowMs < endMs) {
      this.nowMs = Math.min(endMs, this.nowMs + 10)
      for (const candidate of this.candidates) {
        // A connected candidate pings, and the ensemble answers.
        if (candidate.connected && candidate.session !== 0) candidate.deadlineMs = this.nowMs + SESSION_MS
        this.step(candidate, { type: 'wake', deadlineMs: candidate.deadlineMs })
      }
    }
  }

  /** A leader writes, fenced by a check of its candidate's znode. */
  write(candidate: Candidate): void {
    if (candidate.leaseToken === undefined || !candidate.connected) return
    const znode = this.znodes.get(candidate.machine.inspect().own ?? '')
    if (znode?.mzxid !== candidate.leaseToken) return
    this.zxid++
    this.accepted.push(candidate.leaseToken)
  }

  check(): void {
    const believing = this.candidates.filter(({ leaseToken }) => leaseToken !== undefined)
    expect(believing.length).toBeLessThanOrEqual(1)
    expect(this.accepted).toEqual([...this.accepted].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)))
    // One whose znode was deleted keeps its watch where it stood, and comes again further behind.
    if (this.someWereDeleted) return
    // No herd: among those that stand for election one at most watches a candidate, so its end wakes one.
    const standing = this.candidates.filter(({ machine }) => this.znodes.has(machine.inspect().own ?? ''))
    for (const name of this.znodes.keys()) {
      const watching = standing.filter(candidate =>
        this.watches.some(watch => watch.name === name && watch.candidate === candidate && !watch.own),
      )
      expect(watching.length).toBeLessThanOrEqual(1)
    }
  }
}

function formatSequence(sequence: number): string {
  return sequence < 0 ? `-${String(-sequence).padStart(9, '0')}` : String(sequence).padStart(10, '0')
}

const WEIGHTS = {
  toEnsemble: 24,
  toCandidate: 24,
  disconnect: 3,
  reconnect: 6,
  expire: 3,
  write: 4,
  pass: 3,
  deleteByOthers: 3,
  resign: 1,
}

const action = fc.record({
  who: fc.nat(2),
  what: fc.oneof(
    ...Object.entries(WEIGHTS).map(([what, weight]) => ({ weight, arbitrary: fc.constant(what) })),
  ),
})

function act(election: Election, { who, what }: { readonly who: number; readonly what: string }): void {
  const candidate = election.candidates[who]!
  switch (what) {
    case 'toEnsemble':
      return election.deliver(candidate, 'ensemble')
    case 'toCandidate':
      return election.deliver(candidate, 'candidate')
    case 'disconnect':
      return election.disconnect(candidate)
    case 'reconnect':
      return election.reconnect(candidate)
    case 'expire':
      return election.expire(candidate)
    case 'write':
      return election.write(candidate)
    case 'pass':
      return election.pass(250)
    case 'deleteByOthers': {
      // Only one that has not taken office: whoever deletes a leader's znode takes its exclusion away, and all that
      // is left then is the fence.
      const own = candidate.machine.inspect().own
      if (own === undefined || election.znodes.get(own)?.version !== 0) return
      election.someWereDeleted = true
      election.remove(own)
      return
    }
    case 'resign':
      return election.step(candidate, { type: 'resign' })
  }
}

/** Delivers all that is under way, and all that follows from it. */
function settle(election: Election): void {
  for (let round = 0; round < 60; round++) {
    for (const candidate of election.candidates) {
      election.deliver(candidate, 'ensemble')
      election.deliver(candidate, 'candidate')
    }
    election.check()
  }
}

describe('election machine', () => {
  test('interleavings - never two leaders, tokens that only grow, and in the end a leader', () => {
    const firstSequence = fc.constantFrom(0, 2 ** 31 - 3)
    fc.assert(
      fc.property(
        firstSequence,
        fc.boolean(),
        fc.array(action, { maxLength: 150, size: 'max' }),
        (first, isWarm, actions) => {
          const election = new Election(3, first)
          if (isWarm) settle(election)
          for (const each of actions) {
            act(election, each)
            election.check()
          }
          // A healthy network again: whoever still wants the office gets it, one of them.
          for (const candidate of election.candidates) election.reconnect(candidate)
          settle(election)
          const running = election.candidates.filter(({ ended }) => ended === undefined)
          const leading = running.filter(({ leaseToken }) => leaseToken !== undefined)
          expect(leading).toHaveLength(Math.min(1, running.length))
          // Nothing is left of whoever has ended.
          expect(election.znodes.size).toBeLessThanOrEqual(running.length)
        },
      ),
      { numRuns: 400 },
    )
  })

  test('cut off - when the session expires and the next takes office, the old leader has already stopped', () => {
    const election = new Election(3, 0)
    settle(election)
    const leader = election.candidates.find(({ leaseToken }) => leaseToken !== undefined)!
    election.disconnect(leader)
    election.expire(leader)
    settle(election)
    expect(leader.ended).toBe('unproven')
    expect(election.candidates.filter(({ leaseToken }) => leaseToken !== undefined)).toHaveLength(1)
  })

  function elected(): ElectionMachine {
    const machine = new ElectionMachine({ marginMs: MARGIN_MS })
    machine.step({ type: 'start', connected: true, nowMs: 0 })
    machine.step({ type: 'entered', attempt: 1, name: 'me-latch-0000000001', nowMs: 0 })
    machine.step({ type: 'listed', attempt: 2, children: ['me-latch-0000000001'], nowMs: 0 })
    machine.step({ type: 'officeTaken', attempt: 3, fencingToken: 7n, version: 1, nowMs: 0 })
    return machine
  }

  const ends: [string, ElectionEvent, string, boolean][] = [
    ['the session is lost', { type: 'lost' }, 'sessionLost', false],
    ['the client is closed', { type: 'closed' }, 'closed', false],
    ['the own znode is gone', { type: 'verified', attempt: 4, mine: false }, 'deleted', false],
    ['the deadline is near', { type: 'wake', deadlineMs: MARGIN_MS }, 'unproven', true],
    ['it is released', { type: 'resign' }, 'released', true],
  ]
  test.each(ends)('leadership - it ends when %s', (_, event, reason, withdraws) => {
    const effects = elected().step({ ...event, nowMs: 0 })
    expect(effects.at(-1)).toEqual({ type: 'ended', reason })
    expect(effects.some(({ type }) => type === 'withdraw')).toBe(withdraws)
  })

  test('leadership - a reconnect in time keeps it, but verifies', () => {
    const machine = elected()
    expect(machine.step({ type: 'wake', deadlineMs: MARGIN_MS + 1, nowMs: 0 })).toEqual([])
    expect(machine.step({ type: 'connected', nowMs: 0 })).toMatchObject([{ type: 'verify' }])
  })

  test('campaign - a predecessor that is gone is a reason to look, not to lead', () => {
    const machine = new ElectionMachine({ marginMs: MARGIN_MS })
    machine.step({ type: 'start', connected: true, nowMs: 0 })
    machine.step({ type: 'entered', attempt: 1, name: 'c-latch-0000000003', nowMs: 0 })
    const children = ['a-latch-0000000001', 'b-latch-0000000002', 'c-latch-0000000003']
    expect(machine.step({ type: 'listed', attempt: 2, children, nowMs: 0 })).toMatchObject([
      { type: 'watchPredecessor', name: 'b-latch-0000000002' },
    ])
    expect(machine.step({ type: 'predecessorChanged', nowMs: 0 })).toEqual([{ type: 'list', attempt: 4 }])
    // The answer to an older question decides nothing.
    expect(machine.step({ type: 'listed', attempt: 2, children: ['c-latch-0000000003'], nowMs: 0 })).toEqual(
      [],
    )
  })

  test('campaign - resigned while the create is out, its znode is removed when it shows', () => {
    const machine = new ElectionMachine({ marginMs: MARGIN_MS })
    machine.step({ type: 'start', connected: true, nowMs: 0 })
    expect(machine.step({ type: 'resign', nowMs: 0 })).toEqual([{ type: 'ended', reason: 'released' }])
    expect(machine.step({ type: 'entered', attempt: 1, name: 'me-latch-0000000001', nowMs: 0 })).toEqual([
      { type: 'withdraw', name: 'me-latch-0000000001' },
    ])
  })
})

describe('candidates', () => {
  test('order - by number, whatever comes before it, and over the wrap', () => {
    const names = [
      '_c_zzz-latch-2147483646',
      '_c_aaa-latch-2147483647',
      '_c_mmm-latch--2147483648',
      '_c_bbb-latch--2147483647',
    ]
    expect(inOrder([...names].reverse())).toEqual(names)
    expect(inOrder(['something', 'else-0000000001', ...names])).toEqual(names)
  })
})
