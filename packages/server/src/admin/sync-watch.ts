import type { Clock, Logger } from '@conclave/core'
import type { ServerStats } from './server-stats.ts'

/** Measures the way of each batch to the disk, and warns when it is long: clients wait for it. */
export class SyncWatch {
  readonly #stats: ServerStats
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #slowMs: number
  #sinceMs = 0

  constructor(stats: ServerStats, ports: { readonly clock: Clock; readonly logger: Logger }, slowMs: number) {
    this.#stats = stats
    this.#clock = ports.clock
    this.#logger = ports.logger
    this.#slowMs = slowMs
  }

  begin(recordCount: number): void {
    this.#sinceMs = this.#clock.nowMs()
    this.#stats.batchSize.add(recordCount)
  }

  end(): void {
    const tookMs = this.#clock.nowMs() - this.#sinceMs
    this.#stats.syncTime.add(tookMs)
    if (tookMs <= this.#slowMs) return
    this.#stats.slowSyncs++
    this.#logger.log('warn', 'the disk is slow, and clients wait for it', { tookMs: Math.round(tookMs) })
  }
}
