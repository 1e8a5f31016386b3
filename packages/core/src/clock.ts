/** A pending call. `cancel` is idempotent, and after it the call is never made. */
export interface Timer {
  cancel(): void
}

/**
 * Time as a port. Intervals and deadlines are taken from the monotonic `nowMs`, which never jumps; `wallMs` is
 * only for what people and other machines read.
 */
export interface Clock {
  /** Milliseconds on a monotonic clock with an arbitrary zero. */
  nowMs(): number
  /** Milliseconds since the Unix epoch. */
  wallMs(): number
  /** Calls back once, no sooner than `delayMs` from now. An `unref` timer does not keep the process alive. */
  setTimer(delayMs: number, callback: () => void, options?: { readonly unref?: boolean }): Timer
}

/** Resolves after `delayMs`; ends early, by rejecting with the signal's reason, when `signal` aborts. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error)
    const onAbort = (): void => {
      timer.cancel()
      reject(signal?.reason as Error)
    }
    const timer = clock.setTimer(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
