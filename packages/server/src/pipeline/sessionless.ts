import type { ClientConnection } from '../net/client-connection.ts'

/**
 * Connections that have no session: not yet, not any more, or because they only ask a four-letter word. Whoever is among them
 * for too long loses the connection, or a client that says nothing, or does not go when it should, would keep a descriptor
 * for ever. (Apache's `nio.sessionlessCnxnTimeout`)
 */
export class SessionlessConnections {
  readonly #timeoutMs: number
  /** Since when, the longest first. */
  readonly #since = new Map<ClientConnection, number>()

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs
  }

  get count(): number {
    return this.#since.size
  }

  add(client: ClientConnection, nowMs: number): void {
    this.#since.set(client, nowMs)
  }

  /** It has a session, or is gone. */
  remove(client: ClientConnection): void {
    this.#since.delete(client)
  }

  /** Ends those whose time is up. */
  endOverdue(nowMs: number): void {
    for (const [client, sinceMs] of this.#since) {
      if (nowMs - sinceMs < this.#timeoutMs) return
      this.#since.delete(client)
      client.destroy()
    }
  }
}
