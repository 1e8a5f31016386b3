import {
  AbortedError,
  ClientClosedError,
  NoNodeError,
  SessionExpiredError,
  ZooKeeperError,
  type Data,
  type Watcher,
  type ZooKeeper,
} from '@conclave/client'
import { Backoff, deferred, type Timer } from '@conclave/core'
import { baseName, childPath } from '@conclave/protocol'
import { CANDIDATE_NAME } from './candidates.ts'
import { ElectionMachine, type ElectionEffect, type ElectionEvent } from './election-machine.ts'
import { LeaseEndedError } from './errors.ts'
import { guaranteedDelete } from './guaranteed-delete.ts'
import type { Lease } from './lease.ts'

/** A lease ends this part of the session timeout earlier than the session may. */
const MARGIN_PART = 0.1

/** The shell around an election machine: one campaign, and the lease that comes of it. */
export class Candidacy {
  readonly #zk: ZooKeeper
  readonly #electionPath: string
  readonly #data: Data
  readonly #machine: ElectionMachine
  readonly #marginMs: number
  readonly #backoff: Backoff
  readonly #elected = deferred<Lease>()
  readonly #over = new AbortController()
  readonly #offs: readonly (() => void)[]
  readonly #onPredecessor: Watcher = () => this.#step({ type: 'predecessorChanged' })
  readonly #onOwn: Watcher = () => this.#step({ type: 'ownChanged' })
  #removal: Promise<void> = Promise.resolve()
  #timer: Timer | undefined
  /** What the last refusal was, for the error that ends the campaign. */
  #cause: unknown

  constructor(zk: ZooKeeper, electionPath: string, data: Data) {
    this.#zk = zk
    this.#electionPath = electionPath
    this.#data = data
    this.#backoff = new Backoff(zk.platform.random)
    this.#marginMs = zk.session.negotiatedTimeoutMs * MARGIN_PART
    this.#machine = new ElectionMachine({ marginMs: this.#marginMs })
    this.#offs = [
      zk.on('state', ({ state }) => {
        if (state === 'connected' || state === 'lost' || state === 'closed') this.#step({ type: state })
      }),
      zk.on('stalled', () => this.#wake()),
    ]
  }

  /** Resolves when elected. Aborting withdraws the candidate. */
  async run(signal: AbortSignal | undefined): Promise<Lease> {
    const onAbort = (): void => {
      this.#cause = signal?.reason
      this.#elected.reject(
        new AbortedError({ operation: 'campaign', path: this.#electionPath, cause: this.#cause }),
      )
      this.#step({ type: 'resign' })
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted === true) onAbort()
    else if (this.#zk.state === 'closed') this.#step({ type: 'closed' })
    else this.#step({ type: 'start', connected: this.#zk.state === 'connected' })
    try {
      return await this.#elected.promise
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Withdraws, or gives up the leadership; resolves when the znode is gone. */
  resign(): Promise<void> {
    this.#step({ type: 'resign' })
    return this.#removal
  }

  #step(event: ElectionEvent): void {
    const nowMs = this.#zk.platform.clock.nowMs()
    for (const effect of this.#machine.step({ ...event, nowMs })) this.#run(effect)
  }

  #run(effect: ElectionEffect): void {
    switch (effect.type) {
      case 'enter':
        return this.#answer(effect.attempt, this.#enter(effect.attempt))
      case 'list':
        return this.#answer(effect.attempt, this.#list(effect.attempt))
      case 'watchPredecessor':
        return this.#answer(effect.attempt, this.#watchPredecessor(effect.name))
      case 'takeOffice':
        return this.#answer(effect.attempt, this.#takeOffice(effect.attempt, effect.name))
      case 'verify':
        return this.#answer(effect.attempt, this.#verify(effect.attempt, effect.name))
      case 'withdraw':
        this.#removal = guaranteedDelete(this.#zk, this.#pathOf(effect.name))
        // Whoever awaits `release` is told; a campaign that was aborted has nobody left to tell.
        this.#removal.catch(() => {})
        return
      case 'elected':
        return this.#onElected(effect)
      case 'ended':
        return this.#onEnded(effect)
    }
  }

  /** Turns the outcome of a request into the machine's next event; what may be tried again is so after a delay. */
  #answer(attempt: number, request: Promise<ElectionEvent | undefined>): void {
    request.then(
      event => {
        this.#backoff.reset()
        if (event !== undefined) this.#step(event)
      },
      (error: unknown) => {
        this.#cause = error
        const kind = kindOf(error)
        const failed = (): void => this.#step({ type: 'failed', attempt, kind })
        if (kind === 'uncertain') this.#zk.platform.clock.setTimer(this.#backoff.nextDelayMs(), failed)
        else failed()
      },
    )
  }

  async #enter(attempt: number): Promise<ElectionEvent> {
    await this.#zk.ensurePath(this.#electionPath)
    const path = childPath(this.#electionPath, CANDIDATE_NAME)
    const created = await this.#zk.createProtected(path, this.#data, { mode: 'ephemeralSequential' })
    return { type: 'entered', attempt, name: baseName(created.path) }
  }

  async #list(attempt: number): Promise<ElectionEvent> {
    const { children } = await this.#zk.getChildren(this.#electionPath)
    return { type: 'listed', attempt, children }
  }

  /**
   * By asking for its children, of which an ephemeral znode has none: such a watch tells of the deletion alone, not of
   * the predecessor's own taking of office, and where the znode is gone already it leaves none.
   */
  async #watchPredecessor(name: string): Promise<undefined> {
    await this.#zk.getChildren(this.#pathOf(name), { watch: this.#onPredecessor })
  }

  async #takeOffice(attempt: number, name: string): Promise<ElectionEvent> {
    const stat = await this.#zk.setData(this.#pathOf(name), this.#data)
    return { type: 'officeTaken', attempt, fencingToken: stat.mzxid, version: stat.version }
  }

  async #verify(attempt: number, name: string): Promise<ElectionEvent> {
    const stat = await this.#zk.exists(this.#pathOf(name), { watch: this.#onOwn })
    const mine = stat !== null && stat.ephemeralOwner === this.#zk.session.sessionId
    return { type: 'verified', attempt, mine }
  }

  #onElected({ name, fencingToken, version }: ElectionEffect & { type: 'elected' }): void {
    const path = this.#pathOf(name)
    this.#elected.resolve({
      fencingToken,
      path,
      version,
      check: { op: 'check', path, expectedVersion: version },
      signal: this.#over.signal,
      isHeld: () => !this.#over.signal.aborted && this.#nowMs() < this.#endsMs(),
      release: () => this.resign(),
    })
    this.#armTimer()
  }

  #onEnded({ reason }: ElectionEffect & { type: 'ended' }): void {
    for (const off of this.#offs) off()
    this.#timer?.cancel()
    const error = new LeaseEndedError(`the leadership of ${this.#electionPath}`, reason, this.#cause)
    this.#over.abort(error)
    this.#elected.reject(error)
  }

  /** Wakes the machine when the lease would end if nothing more were heard; by then it usually ends later. */
  #armTimer(): void {
    if (this.#over.signal.aborted) return
    this.#timer = this.#zk.platform.clock.setTimer(
      Math.max(0, this.#endsMs() - this.#nowMs()),
      () => {
        this.#wake()
        this.#armTimer()
      },
      { unref: true },
    )
  }

  /** Has the lease come to its end? */
  #wake(): void {
    this.#step({ type: 'wake', deadlineMs: this.#zk.sessionDeadlineMs })
  }

  #nowMs(): number {
    return this.#zk.platform.clock.nowMs()
  }

  #endsMs(): number {
    return this.#zk.sessionDeadlineMs - this.#marginMs
  }

  #pathOf(name: string): string {
    return childPath(this.#electionPath, name)
  }
}

function kindOf(error: unknown): 'uncertain' | 'gone' | 'fatal' {
  if (error instanceof NoNodeError) return 'gone'
  // Of these two the session's own events tell; until then the answer is as good as a lost one.
  if (error instanceof SessionExpiredError || error instanceof ClientClosedError) return 'uncertain'
  return error instanceof ZooKeeperError && error.retryable ? 'uncertain' : 'fatal'
}
