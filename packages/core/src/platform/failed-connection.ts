import type { Connection, ConnectionHandler, Endpoint } from '../network.ts'

/** A connection that could not even be begun, as to a port that no port can be. It tells so as any other: by `onClose`. */
export class FailedConnection implements Connection {
  readonly remote: Endpoint
  readonly #error: Error

  constructor(remote: Endpoint, error: Error) {
    this.remote = remote
    this.#error = error
  }

  start(handler: ConnectionHandler): void {
    queueMicrotask(() => handler.onClose(this.#error))
  }

  write(): boolean {
    return true
  }

  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}
}

/** `begin`, whose failure is told by the connection instead of being thrown. */
export function orFailed(endpoint: Endpoint, begin: () => Connection): Connection {
  try {
    return begin()
  } catch (error) {
    return new FailedConnection(endpoint, error as Error)
  }
}
