import type { Clock } from './clock.ts'
import { TimeoutError } from './errors.ts'

/**
 * The promise's outcome, or a rejection with the signal's reason, whichever comes first. Leaves no listener behind, so
 * that one signal can end any number of waits, one after the other.
 */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  // Whoever stops waiting is not told how it went.
  promise.catch(() => {})
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error)
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    promise.finally(() => signal.removeEventListener('abort', onAbort)).then(resolve, reject)
  })
}

/** A signal that aborts after `delayMs`, with a `TimeoutError`. It does not keep the process alive. */
export function abortAfter(clock: Clock, delayMs: number): AbortSignal {
  const controller = new AbortController()
  clock.setTimer(delayMs, () => controller.abort(new TimeoutError('the operation', delayMs)), { unref: true })
  return controller.signal
}
