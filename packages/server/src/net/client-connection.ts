import { formatEndpoint, messageOf, type Connection, type ConnectionHandler } from '@conclave/core'
import {
  ConnectRequest,
  FrameDecoder,
  JuteReader,
  KeeperState,
  Permission,
  ProtocolError,
  SpecialXid,
  type Acl,
  type StringCache,
} from '@conclave/protocol'
import { isAllowed, type Identity } from '../state/access.ts'
import type { Session } from '../state/session-tracker.ts'
import type { Watcher } from '../state/watch-manager.ts'
import { ConnectionStats } from '../admin/server-stats.ts'
import { Outbox, type OutboxMemory } from './outbox.ts'

/** While so much waits to be said, no more requests of the client are worked on. */
const MAX_ANSWERED_BYTES = 256 << 10
/** A client that is told so much more than it reads loses its connection. */
const MAX_OUTBOX_BYTES = 64 << 20
const EMPTY = Buffer.alloc(0)
const WORD_BYTES = 4
/** How many bytes follow a four-letter word, where any do. */
const ARGUMENT_BYTES: ReadonlyMap<string, number> = new Map([['stmk', 8]])

/** What a connection needs of the server behind it. */
export interface ConnectionOwner {
  readonly maxFrameBytes: number
  readonly outboxMemory: OutboxMemory
  /** Paths that were read from. */
  readonly strings: StringCache
  /** The first frame. */
  onConnectRequest(client: ClientConnection, request: ConnectRequest): void
  /** Every other frame: header and body of a request. Throws `ProtocolError` where there is not even a header. */
  onRequest(client: ClientConnection, reader: JuteReader): void
  /** The connection has something to say. */
  onOutput(client: ClientConnection): void
  /** Everything that arrived together is dealt with: the moment to answer. */
  onTurnEnd(client: ClientConnection): void
  /** The client is listened to again, after the server has held it back. */
  onReleased(client: ClientConnection): void
  /** What was held back because the client did not read can go. */
  onDrained(client: ClientConnection): void
  onClosed(client: ClientConnection): void
  /** The answer to the first four bytes, where they are one of the four-letter words; `argument` is what belongs to it. */
  onFourLetterWord(word: string, argument: Buffer): string | Promise<string> | undefined
  /** Replies that waited for their requests' sake, and how long. */
  onReplies(count: number, latencyMs: number): void
  log(message: string, client: ClientConnection): void
}

/** One client's connection: bytes in, frames out of them; replies and watch events in, bytes out. */
export class ClientConnection implements Watcher, ConnectionHandler {
  readonly outbox: Outbox
  readonly stats: ConnectionStats
  /** Set once the handshake is done. */
  session: Session | undefined
  identities: readonly Identity[]
  /** In the owner's list of those who have something to say in this turn. */
  isTouched = false
  readonly #transport: Connection
  readonly #owner: ConnectionOwner
  readonly #decoder: FrameDecoder
  readonly #reader: JuteReader
  #head: Buffer = EMPTY
  #hasBegun = false
  #isConnected = false
  /** Requests whose answers are still here, and since when. */
  #unanswered = 0
  #unansweredSinceMs = 0
  #ending = false
  #closed = false
  /** What was sent waits in memory, because the client does not read. */
  #isFull = false
  #waitsForLog = false
  /** What was read and waits, because there is much to say; nothing is read meanwhile. */
  #rest: Buffer | undefined
  #isGoingOn = false

  constructor(transport: Connection, owner: ConnectionOwner, establishedMs: number) {
    this.stats = new ConnectionStats(establishedMs)
    this.#transport = transport
    this.#owner = owner
    this.outbox = new Outbox(owner.outboxMemory)
    this.#reader = new JuteReader(EMPTY, 0, 0, owner.strings)
    this.#decoder = new FrameDecoder(owner.maxFrameBytes)
    this.identities = [{ scheme: 'ip', id: this.host }]
    if (transport.peer !== undefined) this.addIdentity('x509', transport.peer.distinguishedName)
    transport.start(this)
  }

  /** An address of IPv4 is one, also where the server listens to both kinds. */
  get host(): string {
    return this.#transport.remote.host.replace(/^::ffff:(?=\d+\.)/, '')
  }

  get remote(): string {
    return formatEndpoint({ host: this.host, port: this.#transport.remote.port })
  }

  /** Whether it goes over TLS. */
  get isSecure(): boolean {
    return this.#transport.isSecure === true
  }

  get sessionId(): bigint {
    return this.session?.id ?? 0n
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** Whether it is the server's doing that the client is not heard: it may have said since that it lives. */
  get isHeldBack(): boolean {
    return !this.#isFull && (this.#waitsForLog || this.#rest !== undefined)
  }

  onData(bytes: Buffer): void {
    if (this.#ending) return
    const stream = this.#hasBegun ? bytes : this.#begin(bytes)
    if (stream !== undefined) this.#take(stream)
  }

  #take(bytes: Buffer): void {
    try {
      const rest = this.#decoder.push(bytes, (buffer, start, end) => {
        this.#onFrame(buffer, start, end)
        return !this.#ending && !this.#closed && this.#hasRoom
      })
      if (!this.#ending && (rest !== undefined || !this.#hasRoom)) {
        this.#rest = rest ?? EMPTY
        this.#transport.pause()
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#owner.log(`connection ended: ${messageOf(error)}`, this)
      this.destroy()
    }
    this.#owner.onTurnEnd(this)
  }

  /** The first four bytes say whether this is a session or one of the four-letter words. */
  #begin(bytes: Buffer): Buffer | undefined {
    const first = this.#head.length === 0 ? bytes : Buffer.concat([this.#head, bytes])
    const word = first.toString('latin1', 0, WORD_BYTES)
    const neededBytes = WORD_BYTES + (ARGUMENT_BYTES.get(word) ?? 0)
    if (first.length < neededBytes) {
      this.#head = first
      return undefined
    }
    this.#hasBegun = true
    const answer = this.#owner.onFourLetterWord(word, first.subarray(WORD_BYTES, neededBytes))
    if (answer === undefined) return first
    this.#ending = true
    Promise.resolve(answer).then(
      text => {
        this.#transport.write(Buffer.from(text))
        this.#transport.end()
      },
      (error: unknown) => {
        this.#owner.log(`no answer to a four-letter word: ${messageOf(error)}`, this)
        this.destroy()
      },
    )
    return undefined
  }

  /** For more answers. */
  get #hasRoom(): boolean {
    return this.outbox.length <= MAX_ANSWERED_BYTES
  }

  #onFrame(buffer: Buffer, start: number, end: number): void {
    const reader = this.#reader
    reader.reset(buffer, start, end)
    if (this.#isConnected) this.#owner.onRequest(this, reader)
    else {
      this.#isConnected = true
      this.#owner.onConnectRequest(this, ConnectRequest.read(reader))
    }
  }

  /** Goes on with what was read, or else reads on, unless something is in the way. */
  #goOn(): void {
    if (this.#isFull || this.#waitsForLog) return
    // Of one that ends nothing is worked on any more, but that the client ends it, too, must be seen.
    if (this.#rest === undefined || this.#ending) return this.#transport.resume()
    if (this.#isGoingOn || !this.#hasRoom) return
    this.#isGoingOn = true
    // Others have their turn before.
    setImmediate(() => {
      this.#isGoingOn = false
      const rest = this.#rest
      if (rest === undefined || this.#isFull || this.#waitsForLog || this.#closed) return
      this.#rest = undefined
      this.#owner.onReleased(this)
      if (!this.#ending) this.#take(rest)
      if (this.#rest === undefined) this.#goOn()
    })
  }

  /** What the client has said before it went is done, though nobody is there to be answered. */
  #finishRest(): void {
    const rest = this.#rest
    this.#rest = undefined
    if (rest === undefined || this.#ending) return
    try {
      this.#decoder.push(rest, (buffer, start, end) => {
        this.#onFrame(buffer, start, end)
        this.outbox.clear()
        return !this.#ending
      })
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
    }
    this.#owner.onTurnEnd(this)
  }

  onWatchEvent(eventType: number, path: string, zxid: number, acl: readonly Acl[]): void {
    if (!isAllowed(acl, Permission.read, this.identities)) return
    const { writer } = this.outbox
    const start = this.beginFrame(SpecialXid.notification, zxid)
    writer.int32(eventType)
    writer.int32(KeeperState.syncConnected)
    writer.string(path)
    this.endFrame(start)
    this.#owner.onOutput(this)
    if (writer.length > MAX_OUTBOX_BYTES) {
      this.#owner.log('connection ended: it is told more than it reads', this)
      this.destroy()
    }
  }

  /** Begins a reply or event; returns where, for `endFrame` or `failFrame`. */
  beginFrame(xid: number, zxid: number, errorCode: number = 0): number {
    const { writer } = this.outbox
    const start = writer.length
    writer.int32(0)
    writer.int32(xid)
    writer.safeInt64(zxid)
    writer.int32(errorCode)
    return start
  }

  endFrame(start: number): void {
    const { writer } = this.outbox
    writer.patchInt32(start, writer.length - start - 4)
  }

  /** Ends it with an error code, and without what was written of its body. */
  failFrame(start: number, errorCode: number): void {
    const { writer } = this.outbox
    writer.truncate(start + 20)
    writer.patchInt32(start + 16, errorCode)
    this.endFrame(start)
  }

  /** Counts a request whose answer is now in the outbox. */
  countRequest(opCode: number, xid: number, zxid: number, nowMs: number): void {
    if (this.#unanswered++ === 0) this.#unansweredSinceMs = nowMs
    const { stats } = this
    stats.received++
    stats.lastOpCode = opCode
    stats.lastCxid = xid
    stats.lastZxid = zxid
  }

  /** The answers are out. */
  #countReplies(nowMs: number): void {
    const count = this.#unanswered
    if (count === 0) return
    this.#unanswered = 0
    const latencyMs = Math.max(0, nowMs - this.#unansweredSinceMs)
    this.stats.sent += count
    this.stats.lastResponseMs = nowMs
    this.stats.latency.add(latencyMs, count)
    this.#owner.onReplies(count, latencyMs)
  }

  /** Sends what waits only for records that are durable. */
  flush(durable: number, nowMs: number): void {
    if (this.#closed || this.#isFull) return
    const takesMore = this.outbox.send(this.#transport, durable)
    if (this.outbox.isEmpty) this.#countReplies(nowMs)
    if (!takesMore) {
      this.#isFull = true
      this.#transport.pause()
    }
    if (this.#ending && this.outbox.isEmpty) {
      this.#transport.end()
      // Nothing drains any more, and the client's end must be seen.
      this.#transport.resume()
    }
    if (this.#rest !== undefined) this.#goOn()
  }

  onDrain(): void {
    this.#isFull = false
    this.#goOn()
    this.#owner.onDrained(this)
  }

  /** No more requests of this client are read until the log has caught up. */
  pauseUntilDurable(): void {
    this.#waitsForLog = true
    this.#transport.pause()
  }

  resumeWhenDurable(): void {
    if (!this.#waitsForLog) return
    this.#waitsForLog = false
    this.#owner.onReleased(this)
    this.#goOn()
  }

  addIdentity(scheme: string, id: string): void {
    if (this.identities.some(known => known.scheme === scheme && known.id === id)) return
    this.identities = [...this.identities, { scheme, id }]
  }

  /** Takes no more requests, and ends the connection when everything was sent. */
  endAfterFlush(): void {
    this.#ending = true
    this.#owner.onOutput(this)
  }

  destroy(): void {
    this.#ending = true
    this.#transport.destroy()
  }

  onClose(): void {
    this.#closed = true
    this.#finishRest()
    this.#owner.onClosed(this)
  }
}
