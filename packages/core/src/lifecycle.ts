import { ClosedError } from './errors.ts'

/** Where something is in its life; it only goes to the right. */
export type LifecycleState = 'latent' | 'started' | 'closing' | 'closed'

/**
 * The one lifecycle of everything that can be started: `latent`, `started`, `closing`, `closed`. It starts at
 * most once and closes at most once; every `close` awaits the same end.
 */
export class Lifecycle {
  readonly #what: string
  #state: LifecycleState = 'latent'
  #closed: Promise<void> | undefined

  /** `what` names the owner in errors. */
  constructor(what: string) {
    this.#what = what
  }

  /** Where it is now. */
  get state(): LifecycleState {
    return this.#state
  }

  /** Throws `ClosedError` unless this is the first start of something that was not closed. */
  start(): void {
    if (this.#state !== 'latent') throw new ClosedError(this.#what)
    this.#state = 'started'
  }

  /** Throws `ClosedError` once closing has begun. */
  assertOpen(): void {
    if (this.#state === 'closing' || this.#state === 'closed') throw new ClosedError(this.#what)
  }

  /** Runs `teardown` the first time; each later call awaits that same run. */
  close(teardown: () => Promise<void>): Promise<void> {
    if (this.#closed === undefined) {
      this.#state = 'closing'
      this.#closed = teardown().finally(() => {
        this.#state = 'closed'
      })
    }
    return this.#closed
  }
}
