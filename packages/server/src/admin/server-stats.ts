/** Least, mean and most of a duration in milliseconds, or of another quantity. */
export class LatencyStats {
  count = 0
  totalMs = 0
  minMs = Infinity
  maxMs = 0
  lastMs = 0

  add(latencyMs: number, count: number = 1): void {
    this.count += count
    this.totalMs += latencyMs * count
    this.lastMs = latencyMs
    if (latencyMs < this.minMs) this.minMs = latencyMs
    if (latencyMs > this.maxMs) this.maxMs = latencyMs
  }

  get averageMs(): number {
    return this.count === 0 ? 0 : this.totalMs / this.count
  }

  reset(): void {
    this.count = 0
    this.totalMs = 0
    this.minMs = Infinity
    this.maxMs = 0
    this.lastMs = 0
  }
}

/** What is counted for the whole server, and for each connection. */
export class TrafficStats {
  received = 0
  sent = 0
  readonly latency = new LatencyStats()

  reset(): void {
    this.received = 0
    this.sent = 0
    this.latency.reset()
  }
}

/** Sessions, their end, warnings, and what has no other bit. */
const DEFAULT_TRACE_MASK = 306n

/** What is counted for the whole server alone. */
export class ServerStats extends TrafficStats {
  connectionRequests = 0
  connectionsRejected = 0
  sessionsExpired = 0
  /** Batches whose way to the disk took longer than is good. */
  slowSyncs = 0
  readonly syncTime = new LatencyStats()
  /** Transactions in each batch. */
  readonly batchSize = new LatencyStats()
  readonly snapshotTime = new LatencyStats()
  /** What Apache's server logs about its traffic, in bits of its `ZooTrace`. Kept for those who set it and ask for it. */
  traceMask = DEFAULT_TRACE_MASK

  override reset(): void {
    super.reset()
    for (const stats of [this.syncTime, this.batchSize, this.snapshotTime]) stats.reset()
  }
}

/** What is known of one connection's requests. */
export class ConnectionStats extends TrafficStats {
  /** When it was made, on the server's clock. */
  readonly establishedMs: number
  /** The opcode of the last request; 0 before the first. */
  lastOpCode = 0
  lastCxid = 0
  lastZxid = 0
  lastResponseMs = 0

  constructor(establishedMs: number) {
    super()
    this.establishedMs = establishedMs
  }
}
