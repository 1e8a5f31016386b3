import type { Clock, Logger, Random } from '@conclave/core'
import {
  ErrorCode,
  JuteWriter,
  OpCode,
  ProtocolError,
  SpecialXid,
  StringCache,
  type ConnectRequest,
  type JuteReader,
  type Txn,
} from '@conclave/protocol'
import type { ServerStats } from '../admin/server-stats.ts'
import type { AuditLog } from '../audit/audit-log.ts'
import type { ClientConnection, ConnectionOwner } from '../net/client-connection.ts'
import { OutboxMemory } from '../net/outbox.ts'
import { prepareMulti, writeMultiEnd, writeMultiResult } from '../ops/multi.ts'
import { BODYLESS_OPERATIONS, READ_OPERATIONS, WRITE_OPERATIONS } from '../ops/op-table.ts'
import type { ReadOperation, ReadScope } from '../ops/read-operation.ts'
import type { WriteOperation, WriteScope } from '../ops/write-operation.ts'
import type { ServerState } from '../state/server-state.ts'
import { unusedZnodes } from '../state/unused-znodes.ts'
import { Authentication, type AuthenticationOptions } from './authentication.ts'
import type { GroupCommit } from './group-commit.ts'
import { ReplyStage } from './reply-stage.ts'
import { SessionStage, type SessionOptions } from './session-stage.ts'
import { SessionlessConnections } from './sessionless.ts'
import { TransactionStage } from './transaction-stage.ts'

export interface PipelineOptions extends SessionOptions, AuthenticationOptions {
  readonly maxFrameBytes: number
  /** Connections from one address; 0: no limit. */
  readonly maxClientCnxns: number
  /** Connections altogether; 0: no limit. */
  readonly maxCnxns: number
  /** How long a connection may be without a session. */
  readonly sessionlessTimeoutMs: number
  /** Transactions that wait for the disk, before no more requests are read. */
  readonly maxOutstanding: number
  /** Whether hard limits of quotas refuse writes. */
  readonly enforceQuota: boolean
  /** Whether transactions are accepted from the beginning. */
  readonly isWritable: boolean
  readonly stats: ServerStats
  /** Is told of every change, and of every try; none by default. */
  readonly auditLog: AuditLog | undefined
  readonly answerFourLetterWord: (word: string, argument: Buffer) => string | Promise<string> | undefined
  /** Called after each transaction. */
  readonly onTransaction: () => void
  /** Called when the number of sessions with a connection changes. */
  readonly onSessionsConnected: (count: number) => void
}

/**
 * Takes requests through their stages: session, prepare, apply, log, reply. A write is applied as soon as it is checked,
 * so each request sees all before it; what that shows leaves only when it is on disk (`ReplyStage`).
 */
export class RequestPipeline implements ConnectionOwner {
  readonly maxFrameBytes: number
  readonly outboxMemory = new OutboxMemory()
  readonly strings = new StringCache()
  readonly authentication: Authentication
  readonly #state: ServerState
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #options: PipelineOptions
  readonly #commit: GroupCommit
  readonly #transactions: TransactionStage
  readonly #replies: ReplyStage
  readonly #sessions: SessionStage
  readonly #clients = new Set<ClientConnection>()
  readonly #sessionless: SessionlessConnections
  /** Results of a multi gather here, because the events that its parts cause go out before the answer. */
  readonly #results = new JuteWriter()
  /** The time of this turn, on the monotonic clock; 0 until a request asks for it. */
  #nowMs = 0
  #stopped = false
  /** Whether the disk takes writes. While it does not, reads go on, and whatever is a transaction is refused. */
  #isWritable: boolean

  constructor(
    state: ServerState,
    commit: GroupCommit,
    ports: { readonly clock: Clock; readonly logger: Logger; readonly random: Random },
    options: PipelineOptions,
  ) {
    this.maxFrameBytes = options.maxFrameBytes
    this.authentication = new Authentication(options, ports)
    this.#state = state
    this.#clock = ports.clock
    this.#logger = ports.logger
    this.#options = options
    this.#commit = commit
    this.#isWritable = options.isWritable
    this.#sessionless = new SessionlessConnections(options.sessionlessTimeoutMs)
    const replies = new ReplyStage(commit, ports.clock, options.maxOutstanding)
    const transactions = new TransactionStage(state, commit, ports.clock, options.onTransaction)
    this.#replies = replies
    this.#transactions = transactions
    this.#sessions = new SessionStage(
      { state, transactions, replies },
      ports,
      options,
      options.onSessionsConnected,
    )
  }

  get clients(): ReadonlySet<ClientConnection> {
    return this.#clients
  }

  /** Whether transactions are accepted. */
  get isWritable(): boolean {
    return this.#isWritable
  }

  get attachedCount(): number {
    return this.#sessions.attachedCount
  }

  /** How many connections have no session. */
  get sessionlessCount(): number {
    return this.#sessionless.count
  }

  /** How many connections wait for the disk. */
  get waitingCount(): number {
    return this.#replies.waitingCount
  }

  add(client: ClientConnection): void {
    this.#clients.add(client)
    this.#sessionless.add(client, this.#clock.nowMs())
    this.authentication.welcome(client)
    const { maxCnxns, maxClientCnxns, stats } = this.#options
    if (maxCnxns > 0 && this.#clients.size > maxCnxns) {
      this.#logger.log('warn', 'too many connections', { max: maxCnxns })
    } else if (maxClientCnxns > 0 && this.#countFrom(client.host) > maxClientCnxns) {
      this.#logger.log('warn', 'too many connections from one address', {
        host: client.host,
        max: maxClientCnxns,
      })
    } else return
    stats.connectionsRejected++
    client.destroy()
  }

  #countFrom(host: string): number {
    let count = 0
    for (const client of this.#clients) if (client.host === host) count++
    return count
  }

  /** The disk takes writes again. */
  acceptWrites(): void {
    this.#isWritable = true
    this.#state.sessions.touchAll(this.#clock.nowMs())
  }

  /** Ends every connection, and takes no more. */
  stop(): void {
    this.#stopped = true
    this.#isWritable = false
    for (const client of this.#clients) client.destroy()
  }

  /** Closes the sessions that were not heard of in time, and ends connections that have been without one for too long. */
  expireSessions(): void {
    this.#sessionless.endOverdue(this.#clock.nowMs())
    if (!this.#isWritable) return
    this.#options.stats.sessionsExpired += this.#sessions.expireAll()
    this.#endTurn()
  }

  /** Ends a session as if its time were up; `false` where there is none. */
  expireSession(sessionId: bigint): boolean {
    const expired = this.#isWritable && this.#sessions.expire(sessionId)
    this.#endTurn()
    return expired
  }

  /** Deletes container and TTL znodes that are no longer used; at most `max` of them. */
  removeUnused(max: number): void {
    if (!this.#isWritable) return
    for (const path of unusedZnodes(this.#state.tree, this.#clock.wallMs(), max)) {
      this.#transactions.execute(0n, 0, { type: OpCode.deleteContainer, path })
    }
    this.#endTurn()
  }

  onDurable(): void {
    this.#replies.onDurable()
  }

  // What connections tell.

  onFourLetterWord(word: string, argument: Buffer): string | Promise<string> | undefined {
    return this.#options.answerFourLetterWord(word, argument)
  }

  onReplies(count: number, latencyMs: number): void {
    const { stats } = this.#options
    stats.received += count
    stats.sent += count
    stats.latency.add(latencyMs, count)
  }

  onOutput(client: ClientConnection): void {
    this.#replies.touch(client)
  }

  /** What it has said meanwhile is yet to come. */
  onReleased({ session }: ClientConnection): void {
    const { sessions } = this.#state
    if (session !== undefined && sessions.get(session.id) === session) {
      sessions.touch(session, this.#clock.nowMs())
    }
  }

  onDrained(client: ClientConnection): void {
    this.#replies.onDrained(client)
  }

  onTurnEnd(client: ClientConnection): void {
    this.#commit.poll()
    this.#endTurn()
    this.#replies.holdBack(client)
  }

  #endTurn(): void {
    this.#nowMs = 0
    this.#transactions.endTurn()
    this.#replies.settle()
  }

  onClosed(client: ClientConnection): void {
    this.#clients.delete(client)
    this.#sessionless.remove(client)
    this.#replies.remove(client)
    this.#sessions.forget(client)
  }

  log(message: string, client: ClientConnection): void {
    this.#logger.log('debug', message, { remote: client.remote, session: client.sessionId })
  }

  onConnectRequest(client: ClientConnection, request: ConnectRequest): void {
    if (this.#stopped) return client.destroy()
    this.#options.stats.connectionRequests++
    this.#sessions.connect(client, request, this.#isWritable)
    if (client.session !== undefined) this.#sessionless.remove(client)
  }

  onRequest(client: ClientConnection, reader: JuteReader): void {
    const xid = reader.int32()
    const opCode = reader.int32()
    const { session } = client
    if (session === undefined || this.#stopped) return client.destroy()
    if (this.#nowMs === 0) this.#nowMs = this.#clock.nowMs()
    this.#state.sessions.touch(session, this.#nowMs)
    this.#dispatch(client, xid, opCode, reader)
    client.countRequest(opCode, xid, this.#state.lastZxid, this.#nowMs)
    this.#replies.touch(client)
  }

  #dispatch(client: ClientConnection, xid: number, opCode: number, reader: JuteReader): void {
    if (!this.authentication.permits(client, opCode)) return this.authentication.refuse(client, xid)
    const read = READ_OPERATIONS.get(opCode)
    if (read !== undefined) return this.#read(client, xid, read, reader)
    const write = WRITE_OPERATIONS.get(opCode)
    const isTransaction = write !== undefined || opCode === OpCode.multi || opCode === OpCode.closeSession
    if (isTransaction && !this.#isWritable) return this.#answer(client, xid, ErrorCode.systemError)
    const { auditLog } = this.#options
    const body = auditLog === undefined ? undefined : reader.fork()
    if (write !== undefined) {
      const txn = this.#write(client, xid, write, reader)
      if (body !== undefined) auditLog?.request(client, opCode, body, txn)
      return
    }
    const bodyless = BODYLESS_OPERATIONS.get(opCode)
    if (bodyless !== undefined) {
      const errorCode = attempt(() => bodyless(this.#readScope(client), reader))
      // That of a ping has an xid of its own, whatever its client says.
      return this.#answer(client, opCode === OpCode.ping ? SpecialXid.ping : xid, errorCode)
    }
    switch (opCode) {
      case OpCode.multi: {
        const txn = this.#multi(client, xid, reader)
        if (body !== undefined) auditLog?.request(client, opCode, body, txn)
        return
      }
      case OpCode.closeSession:
        return this.#closeSession(client, xid)
      case OpCode.auth:
        return this.authentication.authenticate(client, xid, reader)
      case OpCode.sasl:
        return this.authentication.sasl(client, xid, reader)
      default:
        // What a server does not know the rest of the stream may depend on, so Apache's ends it, too; the session lives on.
        this.#answer(client, xid, ErrorCode.unimplemented)
        return client.endAfterFlush()
    }
  }

  #readScope(client: ClientConnection): ReadScope {
    const { sessionId, identities } = client
    return { tree: this.#state.tree, sessionId, identities, watcher: client }
  }

  #writeScope({ sessionId, identities }: ClientConnection): WriteScope {
    const { tree } = this.#state
    return { view: tree, sessionId, identities, quotas: this.#options.enforceQuota ? tree.quotas : undefined }
  }

  /** Answers with a header alone. */
  #answer(client: ClientConnection, xid: number, errorCode: number): void {
    const start = client.beginFrame(xid, this.#state.lastZxid)
    client.failFrame(start, errorCode)
  }

  #read(client: ClientConnection, xid: number, operation: ReadOperation, reader: JuteReader): void {
    const start = client.beginFrame(xid, this.#state.lastZxid)
    const errorCode = attempt(() => operation(this.#readScope(client), reader, client.outbox.writer))
    if (errorCode === ErrorCode.ok) client.endFrame(start)
    else client.failFrame(start, errorCode)
  }

  /** Returns the transaction, or the code of the refusal. */
  #write(client: ClientConnection, xid: number, operation: WriteOperation, reader: JuteReader): Txn | number {
    const prepared = attempt(() => operation.prepare(this.#writeScope(client), reader))
    if (typeof prepared === 'number') return this.#refuse(client, xid, prepared)
    this.#transactions.execute(client.sessionId, xid, prepared)
    const start = client.beginFrame(xid, this.#state.lastZxid)
    operation.reply(client.outbox.writer, this.#state.tree, prepared)
    client.endFrame(start)
    return prepared
  }

  /** As with Apache, a refused write takes a zxid, so that a client can tell what the refusal came after. */
  #refuse(client: ClientConnection, xid: number, errorCode: number): number {
    this.#transactions.execute(client.sessionId, xid, { type: OpCode.error, errorCode })
    this.#answer(client, xid, errorCode)
    return errorCode
  }

  #multi(client: ClientConnection, xid: number, reader: JuteReader): Txn | number {
    const { tree } = this.#state
    const txn = attempt(() => prepareMulti(tree, this.#writeScope(client), reader))
    if (typeof txn === 'number') return this.#refuse(client, xid, txn)
    const results = this.#results
    results.reset()
    // Each result shows the tree as it was right after its part.
    const write = (part: Txn): void => writeMultiResult(results, tree, part)
    this.#transactions.executeMulti(client.sessionId, xid, txn, write)
    const start = client.beginFrame(xid, this.#state.lastZxid)
    client.outbox.writer.raw(results.view())
    writeMultiEnd(client.outbox.writer)
    client.endFrame(start)
    return txn
  }

  #closeSession(client: ClientConnection, xid: number): void {
    this.#sessions.close(client.sessionId, xid)
    this.#answer(client, xid, ErrorCode.ok)
    this.#sessions.forget(client)
    this.#sessionless.add(client, this.#clock.nowMs())
    client.endAfterFlush()
  }
}

/** What an operation returns, or the code for a request that is no such request. */
function attempt<T>(operation: () => T): T | typeof ErrorCode.marshallingError {
  try {
    return operation()
  } catch (error) {
    if (error instanceof ProtocolError) return ErrorCode.marshallingError
    throw error
  }
}
