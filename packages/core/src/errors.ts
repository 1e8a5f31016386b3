/**
 * What is known about a request that failed. `not-applied`: it changed nothing. `unknown`: it may have been
 * applied, as after a connection that broke between request and reply.
 */
export type Outcome = 'not-applied' | 'unknown'

/** What an error says besides its sentence. Every field has a default, so a plain failure needs only `code`. */
export interface ErrorDetails {
  /** Stable, upper-case, unique per kind of error: what programs branch on. Never branch on `message`. */
  readonly code: string
  /** Default `not-applied`. */
  readonly outcome?: Outcome
  /** Whether the same call can succeed later without anything being changed by the caller. Default `false`. */
  readonly retryable?: boolean
  readonly cause?: unknown
}

/**
 * The base of every error that Conclave throws. `message` is one sentence for people: what happened, to what,
 * and what to do; `code` is for programs.
 */
export class ConclaveError extends Error {
  override readonly name: string = 'ConclaveError'
  /** Stable, upper-case, unique per kind of error: what programs branch on. */
  readonly code: string
  /** What is known about the request. */
  readonly outcome: Outcome
  /** Whether the same call can succeed later without anything being changed by the caller. */
  readonly retryable: boolean

  constructor(message: string, details: ErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = details.code
    this.outcome = details.outcome ?? 'not-applied'
    this.retryable = details.retryable ?? false
  }
}

/** The caller handed over something that can never work: an unknown option, a malformed path, a bad address. */
export class UsageError extends ConclaveError {
  override readonly name = 'UsageError'
  constructor(message: string, cause?: unknown) {
    super(message, { code: 'USAGE', cause })
  }
}

/** The object was closed, so the call was never made. */
export class ClosedError extends ConclaveError {
  override readonly name = 'ClosedError'
  constructor(what: string) {
    super(`${what} is closed`, { code: 'CLOSED' })
  }
}

/** A wait ended at its deadline. */
export class TimeoutError extends ConclaveError {
  override readonly name = 'TimeoutError'
  constructor(what: string, timeoutMs: number, outcome: Outcome = 'not-applied') {
    super(`${what} took longer than ${timeoutMs} ms`, { code: 'TIMEOUT', outcome, retryable: true })
  }
}

/** The sentence of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The stable code of any thrown value: Conclave's own, or the one Node.js gives (`ECONNREFUSED`, `ENOENT`). */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
