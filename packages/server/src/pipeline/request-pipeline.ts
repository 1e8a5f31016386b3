import type { Clock, Logger } from '@conclave/core'
import {
  AuthRequest,
  ConnectResponse,
  ErrorCode,
  JuteWriter,
  OpCode,
  ProtocolError,
  SaslToken,
  type ConnectRequest,
  type JuteReader,
  type Txn,
} from '@conclave/protocol'
import type { TrafficStats } from '../admin/server-stats.ts'
import type { ClientConnection, ConnectionOwner } from '../net/client-connection.ts'
import { prepareMulti, writeMultiEnd, writeMultiResult } from '../ops/multi.ts'
import { BODYLESS_OPERATIONS, READ_OPERATIONS, WRITE_OPERATIONS } from '../ops/op-table.ts'
import type { ReadScope } from '../ops/read-operation.ts'
import type { WriteOperation, WriteScope } from '../ops/write-operation.ts'
import { passwordDigest } from '../state/access.ts'
import type { ServerState } from '../state/server-state.ts'
import { sessionPassword } from '../state/session-password.ts'
import type { Session } from '../state/session-tracker.ts'
import { ttlOfOwner } from '../state/znode.ts'
import type { GroupCommit } from './group-commit.ts'

export interface PipelineOptions {
  readonly minSessionTimeoutMs: number
  readonly maxSessionTimeoutMs: number
  readonly maxFrameBytes: number
  /** Connections from one address; 0: no limit. */
  readonly maxClientCnxns: number
  /** Whether hard limits of quotas refuse writes. */
  readonly enforceQuota: boolean
  /** The digest (`super:...`) of whoever may do everything; none by default. */
  readonly superDigest: string | undefined
  /** Whether transactions are accepted from the beginning. */
  readonly isWritable: boolean
  readonly stats: TrafficStats
  readonly answerFourLetterWord: (word: string) => string | Promise<string> | undefined
  /** Called after each transaction. */
  readonly onTransaction: () => void
  /** Called when the number of sessions with a connection changes. */
  readonly onSessionsConnected: (count: number) => void
}

/** Schemes whose identity comes with the connection: its address, and its certificate. */
const CONNECTION_SCHEMES: ReadonlySet<string> = new Set(['ip', 'x509'])

/** When the log falls behind by this much, who asks for more has to wait. */
const MAX_GATHERING_BYTES = 16 << 20

/**
 * Takes requests through their stages: session, prepare, apply, log, reply. A write is applied as soon as it is checked,
 * so each request sees all before it; but no answer leaves, not even to another client's read, before everything
 * that was applied when it was made is in the log on disk.
 */
export class RequestPipeline implements ConnectionOwner {
  readonly maxFrameBytes: number
  readonly #state: ServerState
  readonly #commit: GroupCommit
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #options: PipelineOptions
  readonly #clients = new Set<ClientConnection>()
  /** Connections by session. */
  readonly #attached = new Map<bigint, ClientConnection>()
  /** Who has something to say that was not sealed yet. */
  #touched: ClientConnection[] = []
  /** Who waits for the disk. */
  #waiting = new Set<ClientConnection>()
  #nowMs = 0
  #stopped = false
  /** Whether the disk takes writes. While it does not, reads go on, and whatever is a transaction is refused. */
  #isWritable: boolean

  constructor(
    state: ServerState,
    commit: GroupCommit,
    clock: Clock,
    logger: Logger,
    options: PipelineOptions,
  ) {
    this.maxFrameBytes = options.maxFrameBytes
    this.#state = state
    this.#commit = commit
    this.#clock = clock
    this.#logger = logger
    this.#options = options
    this.#isWritable = options.isWritable
  }

  get clients(): ReadonlySet<ClientConnection> {
    return this.#clients
  }

  get attachedCount(): number {
    return this.#attached.size
  }

  add(client: ClientConnection): void {
    this.#clients.add(client)
    const { maxClientCnxns } = this.#options
    if (maxClientCnxns === 0) return
    const sameHost = [...this.#clients].filter(({ host }) => host === client.host).length
    if (sameHost <= maxClientCnxns) return
    this.#logger.log('warn', 'too many connections from one address', {
      host: client.host,
      max: maxClientCnxns,
    })
    client.destroy()
  }

  log(message: string, client: ClientConnection): void {
    this.#logger.log('debug', message, { remote: client.remote, session: client.sessionId })
  }

  /** How many connections wait for the disk. */
  get waitingCount(): number {
    return this.#waiting.size
  }

  onFourLetterWord(word: string): string | Promise<string> | undefined {
    return this.#options.answerFourLetterWord(word)
  }

  onReplies(count: number, latencyMs: number): void {
    const { stats } = this.#options
    stats.received += count
    stats.sent += count
    stats.latency.add(latencyMs, count)
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

  // --- sessions

  onConnectRequest(client: ClientConnection, request: ConnectRequest): void {
    if (this.#stopped) return client.destroy()
    this.#nowMs = this.#clock.nowMs()
    const { sessions, lastZxid } = this.#state
    if (request.lastZxidSeen > lastZxid) {
      this.log('client has seen a later zxid than this server', client)
      return client.destroy()
    }
    const { minSessionTimeoutMs, maxSessionTimeoutMs } = this.#options
    const timeoutMs = Math.max(minSessionTimeoutMs, Math.min(maxSessionTimeoutMs, request.timeoutMs))
    if (request.sessionId === 0n) {
      if (!this.#isWritable) return client.destroy()
      const id = sessions.nextId(this.#clock.wallMs())
      this.#execute(id, 0, { type: OpCode.createSession, timeoutMs })
      return this.#attach(client, sessions.get(id)!, request)
    }
    const session = sessions.get(request.sessionId)
    this.#detachOld(request.sessionId)
    const isRight = sessionPassword(request.sessionId).equals(request.password ?? Buffer.alloc(0))
    if (session === undefined || !isRight) return this.#refuseSession(client, request)
    session.timeoutMs = timeoutMs
    this.#attach(client, session, request)
  }

  /** A session has one connection: whoever comes later takes it over. */
  #detachOld(sessionId: bigint): void {
    const old = this.#attached.get(sessionId)
    if (old === undefined) return
    this.#forget(old)
    old.destroy()
  }

  #attach(client: ClientConnection, session: Session, request: ConnectRequest): void {
    client.session = session
    this.#state.sessions.touch(session, this.#nowMs)
    this.#attached.set(session.id, client)
    this.#options.onSessionsConnected(this.#attached.size)
    this.#answerConnect(client, request, session.timeoutMs, session.id, sessionPassword(session.id))
  }

  #refuseSession(client: ClientConnection, request: ConnectRequest): void {
    this.#answerConnect(client, request, 0, 0n, Buffer.alloc(16))
    client.endAfterFlush()
  }

  #answerConnect(
    client: ClientConnection,
    { readOnly }: ConnectRequest,
    timeoutMs: number,
    sessionId: bigint,
    password: Buffer,
  ): void {
    const { writer } = client.outbox
    const start = writer.length
    writer.int32(0)
    const asked = readOnly === undefined ? undefined : false
    ConnectResponse.write(writer, { protocolVersion: 0, timeoutMs, sessionId, password, readOnly: asked })
    client.endFrame(start)
    this.onOutput(client)
  }

  /** Closes the sessions that were not heard of in time. */
  expireSessions(): void {
    if (!this.#isWritable) return
    this.#nowMs = this.#clock.nowMs()
    for (const session of this.#state.sessions.expired(this.#nowMs)) {
      this.#logger.log('info', 'session expired', { session: session.id, timeoutMs: session.timeoutMs })
      this.#closeSession(session.id, 0)
      this.#detachOld(session.id)
    }
    this.#settle()
  }

  /** Ends a session as if its time were up; `false` where there is none. */
  expireSession(sessionId: bigint): boolean {
    if (this.#state.sessions.get(sessionId) === undefined || !this.#isWritable) return false
    this.#closeSession(sessionId, 0)
    this.#detachOld(sessionId)
    this.#settle()
    return true
  }

  #closeSession(sessionId: bigint, cxid: number): void {
    const paths = [...(this.#state.tree.ephemerals.get(sessionId) ?? [])]
    this.#execute(sessionId, cxid, { type: OpCode.closeSession, paths })
  }

  /** Deletes container znodes that lost their last child, and TTL znodes whose time is up; at most `max` of them. */
  removeUnused(max: number): void {
    if (!this.#isWritable) return
    const { tree } = this.#state
    const wallMs = this.#clock.wallMs()
    const unused: string[] = []
    for (const path of tree.containers) {
      const znode = tree.get(path)!
      // One that never had a child is about to be used.
      if (znode.childCount === 0 && znode.cversion > 0) unused.push(path)
    }
    for (const path of tree.ttls) {
      const znode = tree.get(path)!
      if (znode.childCount === 0 && wallMs - znode.mtimeMs > ttlOfOwner(znode.owner)) unused.push(path)
    }
    for (const path of unused.slice(0, max)) this.#execute(0n, 0, { type: OpCode.deleteContainer, path })
    this.#settle()
  }

  // --- requests

  onRequest(client: ClientConnection, reader: JuteReader): void {
    const xid = reader.int32()
    const opCode = reader.int32()
    const { session } = client
    if (session === undefined || this.#stopped) return client.destroy()
    if (this.#nowMs === 0) this.#nowMs = this.#clock.nowMs()
    this.#state.sessions.touch(session, this.#nowMs)
    this.#dispatch(client, session, xid, opCode, reader)
    client.countRequest(opCode, xid, this.#state.lastZxid, this.#nowMs)
    this.onOutput(client)
  }

  #dispatch(
    client: ClientConnection,
    session: Session,
    xid: number,
    opCode: number,
    reader: JuteReader,
  ): void {
    const read = READ_OPERATIONS.get(opCode)
    if (read !== undefined) {
      const start = client.beginFrame(xid, this.#state.lastZxid)
      const errorCode = attempt(() => read(this.#readScope(client), reader, client.outbox.writer))
      if (errorCode === ErrorCode.ok) client.endFrame(start)
      else client.failFrame(start, errorCode)
      return
    }
    const write = WRITE_OPERATIONS.get(opCode)
    if (
      !this.#isWritable &&
      (write !== undefined || opCode === OpCode.multi || opCode === OpCode.closeSession)
    ) {
      return this.#answer(client, xid, ErrorCode.systemError)
    }
    if (write !== undefined) return this.#write(client, session, xid, write, reader)
    const bodyless = BODYLESS_OPERATIONS.get(opCode)
    if (bodyless !== undefined) {
      return this.#answer(
        client,
        xid,
        attempt(() => bodyless(this.#readScope(client), reader)),
      )
    }
    switch (opCode) {
      case OpCode.multi:
        return this.#multi(client, session, xid, reader)
      case OpCode.closeSession:
        return this.#closeByClient(client, session, xid)
      case OpCode.auth:
        return this.#authenticate(client, xid, reader)
      case OpCode.sasl:
        return this.#sasl(client, xid)
      default:
        return this.#answer(client, xid, ErrorCode.unimplemented)
    }
  }

  #readScope(client: ClientConnection): ReadScope {
    return {
      tree: this.#state.tree,
      sessionId: client.sessionId,
      identities: client.identities,
      watcher: client,
    }
  }

  #writeScope(client: ClientConnection, session: Session): WriteScope {
    const { tree } = this.#state
    const quotas = this.#options.enforceQuota ? tree.quotas : undefined
    return { view: tree, sessionId: session.id, identities: client.identities, quotas }
  }

  /** Answers with a header alone. */
  #answer(client: ClientConnection, xid: number, errorCode: number): void {
    const start = client.beginFrame(xid, this.#state.lastZxid)
    client.failFrame(start, errorCode)
  }

  #write(
    client: ClientConnection,
    session: Session,
    xid: number,
    operation: WriteOperation,
    reader: JuteReader,
  ): void {
    const { tree } = this.#state
    const scope = this.#writeScope(client, session)
    let prepared: Txn | number = ErrorCode.marshallingError
    try {
      prepared = operation.prepare(scope, reader)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
    }
    if (typeof prepared === 'number') {
      // As with Apache, a refused write takes a zxid, so that a client can tell what the refusal came after.
      this.#execute(session.id, xid, { type: OpCode.error, errorCode: prepared })
      return this.#answer(client, xid, prepared)
    }
    this.#execute(session.id, xid, prepared)
    const start = client.beginFrame(xid, this.#state.lastZxid)
    operation.reply(client.outbox.writer, tree, prepared)
    client.endFrame(start)
  }

  /** Gives a transaction its zxid, applies it and hands it to the log. */
  #execute(sessionId: bigint, cxid: number, txn: Txn): void {
    const state = this.#state
    const zxid = state.lastZxid + 1
    const header = { sessionId, cxid, zxid, timeMs: this.#clock.wallMs(), type: txn.type }
    state.apply(header, txn, this.#nowMs)
    this.#commit.append(header, txn, state.tree.digest)
    this.#options.onTransaction()
  }

  /** As `#execute`, part by part, because each result shows the tree as it was right after its part. */
  #multi(client: ClientConnection, session: Session, xid: number, reader: JuteReader): void {
    const state = this.#state
    let txn: ReturnType<typeof prepareMulti>
    try {
      txn = prepareMulti(state.tree, this.#writeScope(client, session), reader)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#execute(session.id, xid, { type: OpCode.error, errorCode: ErrorCode.marshallingError })
      return this.#answer(client, xid, ErrorCode.marshallingError)
    }
    const zxid = state.lastZxid + 1
    const header = { sessionId: session.id, cxid: xid, zxid, timeMs: this.#clock.wallMs(), type: txn.type }
    const failed = txn.txns.some(({ type }) => type === OpCode.error)
    const results = this.#results
    results.reset()
    for (const part of txn.txns) {
      if (!failed) state.applyPart(header, part, this.#nowMs)
      writeMultiResult(results, state.tree, part)
    }
    state.lastZxid = zxid
    this.#commit.append(header, txn, state.tree.digest)
    this.#options.onTransaction()
    const start = client.beginFrame(xid, zxid)
    client.outbox.writer.raw(results.view())
    writeMultiEnd(client.outbox.writer)
    client.endFrame(start)
  }
  /** Results gather here because the events that the parts cause go out before the answer. */
  readonly #results = new JuteWriter()

  #closeByClient(client: ClientConnection, session: Session, xid: number): void {
    this.#closeSession(session.id, xid)
    this.#answer(client, xid, ErrorCode.ok)
    this.#forget(client)
    client.endAfterFlush()
  }

  #authenticate(client: ClientConnection, xid: number, reader: JuteReader): void {
    const { scheme, auth } = AuthRequest.read(reader)
    const start = client.beginFrame(xid, 0)
    if (scheme === 'digest') {
      const digest = passwordDigest(Buffer.from(auth ?? []).toString())
      if (digest === this.#options.superDigest) client.addIdentity('super', '')
      client.addIdentity('digest', digest)
      return client.endFrame(start)
    }
    // What the connection itself proves is known already.
    if (client.identities.some(identity => identity.scheme === scheme && CONNECTION_SCHEMES.has(scheme))) {
      return client.endFrame(start)
    }
    client.failFrame(start, ErrorCode.authFailed)
    client.endAfterFlush()
  }

  /** Nothing is configured to prove: an answer without a token, as from Apache's server. */
  #sasl(client: ClientConnection, xid: number): void {
    const start = client.beginFrame(xid, 0)
    SaslToken.write(client.outbox.writer, { token: null })
    client.endFrame(start)
  }

  // --- output

  onOutput(client: ClientConnection): void {
    if (client.isTouched) return
    client.isTouched = true
    this.#touched.push(client)
  }

  onTurnEnd(client: ClientConnection): void {
    this.#settle()
    if (this.#commit.gatheringBytes > MAX_GATHERING_BYTES && this.#waiting.has(client))
      client.pauseUntilDurable()
  }

  /** Everything written in this turn may go out when all that is applied by now is durable. */
  #settle(): void {
    const nowMs = this.#touched.length === 0 ? 0 : this.#clock.nowMs()
    this.#nowMs = 0
    const { appended, durable } = this.#commit
    for (const client of this.#touched) {
      client.isTouched = false
      client.outbox.seal(appended)
      client.flush(durable, nowMs)
      if (!client.outbox.isEmpty) this.#waiting.add(client)
    }
    this.#touched.length = 0
  }

  /** The log has moved on. */
  onDurable(): void {
    const { durable } = this.#commit
    const nowMs = this.#clock.nowMs()
    for (const client of this.#waiting) {
      client.flush(durable, nowMs)
      if (client.outbox.isEmpty || client.isClosed) this.#waiting.delete(client)
      client.resumeWhenDurable()
    }
  }

  onDrained(client: ClientConnection): void {
    client.flush(this.#commit.durable, this.#clock.nowMs())
    if (!client.outbox.isEmpty) this.#waiting.add(client)
  }

  onClosed(client: ClientConnection): void {
    this.#clients.delete(client)
    this.#waiting.delete(client)
    this.#forget(client)
  }

  /** The connection is no longer its session's, and watches nothing. */
  #forget(client: ClientConnection): void {
    this.#state.tree.removeWatcher(client)
    const { session } = client
    if (session === undefined || this.#attached.get(session.id) !== client) return
    this.#attached.delete(session.id)
    this.#options.onSessionsConnected(this.#attached.size)
  }
}

/** What an operation returns, or the code for a request that is no such request. */
function attempt(operation: () => number): number {
  try {
    return operation()
  } catch (error) {
    if (error instanceof ProtocolError) return ErrorCode.marshallingError
    throw error
  }
}
