import type { Clock, Logger } from '@conclave/core'
import { ConnectResponse, OpCode, type ConnectRequest } from '@conclave/protocol'
import type { AuditLog } from '../audit/audit-log.ts'
import type { ClientConnection } from '../net/client-connection.ts'
import type { ServerState } from '../state/server-state.ts'
import { sessionPassword } from '../state/session-password.ts'
import type { Session } from '../state/session-tracker.ts'
import type { ReplyStage } from './reply-stage.ts'
import type { TransactionStage } from './transaction-stage.ts'

export interface SessionOptions {
  readonly minSessionTimeoutMs: number
  readonly maxSessionTimeoutMs: number
  /** Is told which ephemeral znodes go with a session. */
  readonly auditLog?: AuditLog | undefined
}

/** Sessions and their connections: made, resumed, moved from one to another, expired and closed. */
export class SessionStage {
  readonly #state: ServerState
  readonly #transactions: TransactionStage
  readonly #replies: ReplyStage
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #options: SessionOptions
  readonly #onConnected: (count: number) => void
  /** Connections by session. */
  readonly #attached = new Map<bigint, ClientConnection>()

  constructor(
    stages: { state: ServerState; transactions: TransactionStage; replies: ReplyStage },
    ports: { clock: Clock; logger: Logger },
    options: SessionOptions,
    onConnected: (count: number) => void,
  ) {
    this.#state = stages.state
    this.#transactions = stages.transactions
    this.#replies = stages.replies
    this.#clock = ports.clock
    this.#logger = ports.logger
    this.#options = options
    this.#onConnected = onConnected
  }

  /** Sessions that have a connection. */
  get attachedCount(): number {
    return this.#attached.size
  }

  /** Answers the handshake. Without `isWritable` no session can be made. */
  connect(client: ClientConnection, request: ConnectRequest, isWritable: boolean): void {
    const { sessions, lastZxid } = this.#state
    if (request.lastZxidSeen > lastZxid || (request.sessionId === 0n && !isWritable)) {
      this.#logger.log('info', 'client turned away', {
        remote: client.remote,
        lastZxid: request.lastZxidSeen,
      })
      return client.destroy()
    }
    const { minSessionTimeoutMs, maxSessionTimeoutMs } = this.#options
    const timeoutMs = Math.max(minSessionTimeoutMs, Math.min(maxSessionTimeoutMs, request.timeoutMs))
    if (request.sessionId === 0n) {
      const id = sessions.nextId(this.#clock.wallMs())
      this.#transactions.execute(id, 0, { type: OpCode.createSession, timeoutMs })
      return this.#attach(client, sessions.get(id)!, request)
    }
    const session = sessions.get(request.sessionId)
    // As with Apache, whoever comes later ends the connection that was, right password or not.
    this.#detach(request.sessionId)
    const isRight = sessionPassword(request.sessionId).equals(request.password ?? Buffer.alloc(0))
    if (session === undefined || !isRight) return this.#refuse(client, request)
    session.timeoutMs = timeoutMs
    this.#attach(client, session, request)
  }

  #attach(client: ClientConnection, session: Session, request: ConnectRequest): void {
    client.session = session
    this.#state.sessions.touch(session, this.#clock.nowMs())
    this.#attached.set(session.id, client)
    this.#onConnected(this.#attached.size)
    this.#answer(client, request, session.timeoutMs, session.id, sessionPassword(session.id))
  }

  #refuse(client: ClientConnection, request: ConnectRequest): void {
    this.#answer(client, request, 0, 0n, Buffer.alloc(16))
    client.endAfterFlush()
  }

  #answer(
    client: ClientConnection,
    { readOnly }: ConnectRequest,
    timeoutMs: number,
    sessionId: bigint,
    password: Buffer,
  ): void {
    const { writer } = client.outbox
    const start = writer.length
    writer.int32(0)
    // Who did not send the field does not know it.
    const asked = readOnly === undefined ? undefined : false
    ConnectResponse.write(writer, { protocolVersion: 0, timeoutMs, sessionId, password, readOnly: asked })
    client.endFrame(start)
    this.#replies.touch(client)
  }

  /** Closes the sessions that were not heard of in time; returns how many. Whom the server holds back lives. */
  expireAll(): number {
    let count = 0
    const { sessions } = this.#state
    const nowMs = this.#clock.nowMs()
    for (const session of sessions.expired(nowMs)) {
      const { id, timeoutMs } = session
      if (this.#attached.get(id)?.isHeldBack === true) {
        sessions.touch(session, nowMs)
        continue
      }
      this.#logger.log('info', 'session expired', { session: id, timeoutMs })
      if (this.expire(id)) count++
    }
    return count
  }

  /** Ends a session as if its time were up; `false` where there is none. */
  expire(sessionId: bigint): boolean {
    if (this.#state.sessions.get(sessionId) === undefined) return false
    this.close(sessionId, 0)
    this.#detach(sessionId)
    return true
  }

  /** The transaction that ends a session and deletes its ephemeral znodes. */
  close(sessionId: bigint, cxid: number): void {
    const paths = [...(this.#state.tree.ephemerals.get(sessionId) ?? [])]
    this.#transactions.execute(sessionId, cxid, { type: OpCode.closeSession, paths })
    this.#options.auditLog?.ephemeralsDeleted(sessionId, paths)
  }

  #detach(sessionId: bigint): void {
    const client = this.#attached.get(sessionId)
    if (client === undefined) return
    this.forget(client)
    client.destroy()
  }

  /** The connection is no longer its session's, and watches nothing. */
  forget(client: ClientConnection): void {
    this.#state.tree.removeWatcher(client)
    const { session } = client
    if (session === undefined || this.#attached.get(session.id) !== client) return
    this.#attached.delete(session.id)
    this.#onConnected(this.#attached.size)
  }
}
