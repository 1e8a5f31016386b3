import { messageOf, TimeoutError } from '@conclave/core'
import { setTimeout as delay } from 'node:timers/promises'

export interface EventuallyOptions {
  /** How long to wait at most, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number
  /** Between two looks, in milliseconds. Default 10. */
  readonly everyMs?: number
  /** What is waited for, in words, for the error. Default `the condition`. */
  readonly what?: string
}

/**
 * Waits until a condition holds and resolves with the value that it gave: the opposite of a sleep, for things that
 * tell nobody when they are done. A condition holds when it returns anything but `false`, `null` and `undefined`;
 * one that throws does not hold yet. Rejects with `TimeoutError`, whose `cause` is what the last look threw.
 */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  options: EventuallyOptions = {},
): Promise<Exclude<T, false | null | undefined | void>> {
  const timeoutMs = options.timeoutMs ?? 10_000
  const deadlineMs = performance.now() + timeoutMs
  for (;;) {
    let failure: unknown
    try {
      const value = await condition()
      if (value !== false && value !== null && value !== undefined) {
        return value as Exclude<T, false | null | undefined | void>
      }
    } catch (error) {
      failure = error
    }
    if (performance.now() >= deadlineMs) {
      const what = options.what ?? 'the condition'
      const error = new TimeoutError(
        failure === undefined ? what : `${what} (${messageOf(failure)})`,
        timeoutMs,
      )
      error.cause = failure
      throw error
    }
    await delay(options.everyMs ?? 10)
  }
}
