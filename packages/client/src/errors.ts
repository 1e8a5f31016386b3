import { ConclaveError, type Outcome } from '@conclave/core'

/** Which request an error is about. */
export interface ErrorContext {
  readonly operation?: string | undefined
  readonly path?: string | undefined
  /** Default `not-applied`. */
  readonly outcome?: Outcome | undefined
  readonly cause?: unknown
}

/** What the constructor of a subclass fixes for all its errors. */
interface ErrorKind {
  readonly code: string
  /** What happened, as the end of a sentence that begins with operation and path. */
  readonly what: string
  readonly retryable?: boolean
}

/** The base of every error of a ZooKeeper request. */
export class ZooKeeperError extends ConclaveError {
  override readonly name: string = 'ZooKeeperError'
  /** The operation that failed, such as `getData`. */
  readonly operation: string | undefined
  /** The path as the caller wrote it. */
  readonly path: string | undefined

  constructor(kind: ErrorKind, context: ErrorContext = {}) {
    const subject = [context.operation, context.path].filter(part => part !== undefined).join(' ')
    super(subject === '' ? kind.what : `${subject}: ${kind.what}`, {
      code: kind.code,
      outcome: context.outcome ?? 'not-applied',
      retryable: kind.retryable ?? false,
      cause: context.cause,
    })
    this.operation = context.operation
    this.path = context.path
  }
}

/** The connection broke before the answer came, or no server could be reached. `outcome` says whether it was sent. */
export class ConnectionLossError extends ZooKeeperError {
  override readonly name = 'ConnectionLossError'
  constructor(context?: ErrorContext, what: string = 'the connection to the server was lost') {
    super({ code: 'CONNECTION_LOSS', what, retryable: true }, context)
  }
}

/** The session that the request belonged to is gone, and its ephemeral znodes with it. */
export class SessionExpiredError extends ZooKeeperError {
  override readonly name = 'SessionExpiredError'
  constructor(context?: ErrorContext) {
    super({ code: 'SESSION_EXPIRED', what: 'the session has expired' }, context)
  }
}

/** The client was closed before the answer came. */
export class ClientClosedError extends ZooKeeperError {
  override readonly name = 'ClientClosedError'
  constructor(context?: ErrorContext) {
    super({ code: 'CLIENT_CLOSED', what: 'the client is closed' }, context)
  }
}

/** The caller's signal ended the wait; `cause` is its reason. `outcome` says whether the request was sent. */
export class AbortedError extends ZooKeeperError {
  override readonly name = 'AbortedError'
  constructor(context?: ErrorContext) {
    super({ code: 'ABORTED', what: 'aborted by the caller' }, context)
  }
}

/** A request that is larger than what servers take (`jute.maxbuffer`). It was not sent: it would cost the connection. */
export class RequestTooLargeError extends ZooKeeperError {
  override readonly name = 'RequestTooLargeError'
  /** How large the request would have been, without the four bytes of its length. */
  readonly sizeBytes: number
  /** `ConnectOptions.maxFrameBytes`. */
  readonly maxBytes: number
  constructor(sizeBytes: number, maxBytes: number, context?: ErrorContext) {
    const what = `the request has ${sizeBytes} bytes, servers take ${maxBytes} (jute.maxbuffer)`
    super({ code: 'REQUEST_TOO_LARGE', what }, context)
    this.sizeBytes = sizeBytes
    this.maxBytes = maxBytes
  }
}

/** The answer could not be read; the connection was given up, and the request is not sent again. */
export class UnreadableReplyError extends ZooKeeperError {
  override readonly name = 'UnreadableReplyError'
  constructor(context?: ErrorContext) {
    super({ code: 'UNREADABLE_REPLY', what: 'the answer of the server cannot be read' }, context)
  }
}
