/** A session, which outlives its connections and, through the log, the server. */
export interface Session {
  readonly id: bigint
  /** The timeout that was granted, in milliseconds. */
  timeoutMs: number
  /** When it expires unless it is heard of, on the monotonic clock: always the end of a step. */
  expiresAtMs: number
}

/**
 * When each session expires. Expiries are rounded up to whole steps, usually ticks, so that hearing from a session costs
 * nothing as long as the step is the same, and all sessions of a step expire together. (Apache's `ExpiryQueue`)
 */
export class SessionTracker {
  readonly sessions = new Map<bigint, Session>()
  readonly #stepMs: number
  readonly #buckets = new Map<number, Set<Session>>()
  #lastId = 0n

  constructor(stepMs: number) {
    this.#stepMs = stepMs
  }

  /** When the next sessions expire unless they are heard of. `Infinity`: there is none. */
  get nextExpiryMs(): number {
    let nextMs = Infinity
    for (const expiresAtMs of this.#buckets.keys()) nextMs = Math.min(nextMs, expiresAtMs)
    return nextMs
  }

  get(id: bigint): Session | undefined {
    return this.sessions.get(id)
  }

  /** An id that no session has, in the form of Apache's: server 1 in the high byte, then 40 bits of time. */
  nextId(wallMs: number): bigint {
    if (this.#lastId === 0n) {
      const time = BigInt.asUintN(64, BigInt(Math.floor(wallMs)) << 24n) >> 8n
      this.#lastId = (1n << 56n) | time
    }
    do this.#lastId++
    while (this.sessions.has(this.#lastId))
    return this.#lastId
  }

  /** Adds a session, or gives one that is there another timeout. */
  add(id: bigint, timeoutMs: number, nowMs: number): Session {
    let session = this.sessions.get(id)
    if (session === undefined) {
      session = { id, timeoutMs, expiresAtMs: -1 }
      this.sessions.set(id, session)
    }
    session.timeoutMs = timeoutMs
    this.touch(session, nowMs)
    return session
  }

  remove(id: bigint): void {
    const session = this.sessions.get(id)
    if (session === undefined) return
    this.sessions.delete(id)
    this.#leaveBucket(session)
  }

  /** The session was heard of: it lives for its timeout from now, and to the end of that step. */
  touch(session: Session, nowMs: number): void {
    const expiresAtMs = this.#stepEnd(nowMs + session.timeoutMs)
    if (expiresAtMs <= session.expiresAtMs) return
    this.#leaveBucket(session)
    session.expiresAtMs = expiresAtMs
    let bucket = this.#buckets.get(expiresAtMs)
    if (bucket === undefined) this.#buckets.set(expiresAtMs, (bucket = new Set<Session>()))
    bucket.add(session)
  }

  /** All sessions live from now for their whole timeout, as after a start. */
  touchAll(nowMs: number): void {
    for (const session of this.sessions.values()) {
      this.#leaveBucket(session)
      session.expiresAtMs = -1
      this.touch(session, nowMs)
    }
  }

  /** The sessions whose time is up. They stay until they are removed. */
  expired(nowMs: number): Session[] {
    const due: Session[] = []
    for (const [expiresAtMs, bucket] of this.#buckets) if (expiresAtMs <= nowMs) due.push(...bucket)
    return due
  }

  #leaveBucket(session: Session): void {
    const bucket = this.#buckets.get(session.expiresAtMs)
    if (bucket === undefined) return
    bucket.delete(session)
    if (bucket.size === 0) this.#buckets.delete(session.expiresAtMs)
  }

  #stepEnd(timeMs: number): number {
    return Math.ceil(timeMs / this.#stepMs) * this.#stepMs
  }
}
