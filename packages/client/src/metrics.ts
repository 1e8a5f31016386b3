import { channel } from 'node:diagnostics_channel'
import type { StateChange } from './connection-state.ts'

/** Published on the diagnostics channel `conclave:client:request:start` at the call, in its asynchronous context. */
export interface RequestStartDiagnostics {
  readonly operation: string
  readonly path: string | undefined
  readonly sessionId: bigint | undefined
  /** On the platform's monotonic clock. */
  readonly startedMs: number
}

/** Published on `conclave:client:request` when a request is settled: the object that was published at its start. */
export interface RequestDiagnostics extends RequestStartDiagnostics {
  /** Between the call and its end. */
  readonly durationMs: number
  /** Absent where it succeeded. */
  readonly error?: unknown
}

/** Published on the diagnostics channel `conclave:client:state` at each change. */
export interface StateDiagnostics {
  readonly change: StateChange
  readonly sessionId: bigint | undefined
}

/** Subscribe with `node:diagnostics_channel`; without subscribers a request costs no more. */
export const REQUEST_START_CHANNEL = 'conclave:client:request:start'
export const REQUEST_CHANNEL = 'conclave:client:request'
export const STATE_CHANNEL = 'conclave:client:state'

export const requestStartChannel = channel(REQUEST_START_CHANNEL)
export const requestChannel = channel(REQUEST_CHANNEL)
export const stateChannel = channel(STATE_CHANNEL)

/** Of one operation, since the client was made. */
export interface OperationMetrics {
  /** Requests that were answered, errors of the server among them. */
  readonly answered: number
  readonly refused: number
  /**
   * How long answers took, from the sending of the request: `latencies[i]` of them less than 2^i microseconds, and not
   * less than half of that.
   */
  readonly latencies: readonly number[]
}

/** What a client has done so far, as plain data. */
export interface ClientMetrics {
  readonly operations: Readonly<Record<string, OperationMetrics>>
  /** Watch events received. */
  readonly events: number
  /** Connections on which the session was confirmed. */
  readonly connections: number
  /** Requests without an answer at this moment. */
  readonly pending: number
}

/** 2^31 microseconds are more than half an hour. */
const BUCKETS = 32

interface Counters {
  answered: number
  refused: number
  readonly latencies: Float64Array
}

/** Counts what goes through a session. */
export class MetricsCollector {
  readonly #operations = new Map<string, Counters>()
  #events = 0
  #connections = 0

  onAnswer(operation: string, latencyMs: number, isRefusal: boolean): void {
    let counters = this.#operations.get(operation)
    if (counters === undefined) {
      counters = { answered: 0, refused: 0, latencies: new Float64Array(BUCKETS) }
      this.#operations.set(operation, counters)
    }
    counters.answered++
    if (isRefusal) counters.refused++
    counters.latencies[Math.min(BUCKETS - 1, 32 - Math.clz32(latencyMs * 1000))]!++
  }

  onEvent(): void {
    this.#events++
  }

  onConnection(): void {
    this.#connections++
  }

  snapshot(pending: number): ClientMetrics {
    const operations = [...this.#operations].map(([name, { answered, refused, latencies }]) => {
      return [name, { answered, refused, latencies: [...latencies] }] as const
    })
    return {
      operations: Object.fromEntries(operations),
      events: this.#events,
      connections: this.#connections,
      pending,
    }
  }
}
