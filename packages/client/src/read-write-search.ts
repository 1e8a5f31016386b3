import {
  Backoff,
  formatEndpoint,
  type Clock,
  type Endpoint,
  type Network,
  type Random,
  type Timer,
} from '@conclave/core'
import type { HostProvider } from './host-provider.ts'

/** Apache's clients ask at such intervals, too. */
const INTERVALS = { baseMs: 200, maxMs: 60_000 }

/** The four-letter word that asks a server whether it only reads; it answers `ro` or `rw` and closes. */
const QUESTION = Buffer.from('isro')

/** While a client has to do with a server that only reads: looks for one that writes, too. */
export class ReadWriteSearch {
  readonly #hosts: HostProvider
  readonly #platform: { readonly network: Network; readonly clock: Clock; readonly random: Random }
  readonly #timeoutMs: number
  readonly #onFound: (endpoint: Endpoint) => void
  #running: AbortController | undefined
  #timer: Timer | undefined

  constructor(
    hosts: HostProvider,
    platform: { readonly network: Network; readonly clock: Clock; readonly random: Random },
    options: { readonly timeoutMs: number; onFound(endpoint: Endpoint): void },
  ) {
    this.#hosts = hosts
    this.#platform = platform
    this.#timeoutMs = options.timeoutMs
    this.#onFound = endpoint => options.onFound(endpoint)
  }

  /** Idempotent. */
  start(): void {
    if (this.#running !== undefined) return
    this.#running = new AbortController()
    this.#askLater(new Backoff(this.#platform.random, INTERVALS), this.#running.signal)
  }

  /** Idempotent. */
  stop(): void {
    this.#running?.abort()
    this.#running = undefined
    this.#timer?.cancel()
  }

  #askLater(backoff: Backoff, signal: AbortSignal): void {
    this.#timer = this.#platform.clock.setTimer(backoff.nextDelayMs(), () => {
      this.#askAll(signal).then(
        found => {
          if (signal.aborted) return
          if (found === undefined) return this.#askLater(backoff, signal)
          this.stop()
          this.#onFound(found)
        },
        // No names could be looked up: the next time, perhaps.
        () => {
          if (!signal.aborted) this.#askLater(backoff, signal)
        },
      )
    })
  }

  async #askAll(signal: AbortSignal): Promise<Endpoint | undefined> {
    for (const endpoint of await this.#hosts.resolve(signal)) {
      if (signal.aborted) return undefined
      if (await this.#writes(endpoint)) return endpoint
    }
    return undefined
  }

  #writes(endpoint: Endpoint): Promise<boolean> {
    return new Promise(resolve => {
      const stream = this.#platform.network.connect(endpoint)
      let answer = ''
      const finish = (): void => {
        timer.cancel()
        stream.destroy()
        resolve(answer.startsWith('rw'))
      }
      const timer = this.#platform.clock.setTimer(this.#timeoutMs, finish)
      stream.start({
        onConnect: () => void stream.write(QUESTION),
        onData: bytes => {
          answer += bytes.toString('latin1')
          if (answer.length >= 2) finish()
        },
        onClose: finish,
      })
    })
  }
}

/** The endpoints with one of them first. */
export function withFirst(first: Endpoint, endpoints: readonly Endpoint[]): readonly Endpoint[] {
  return [first, ...endpoints.filter(endpoint => formatEndpoint(endpoint) !== formatEndpoint(first))]
}
