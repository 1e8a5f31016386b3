import { messageOf, type Connection, type ConnectionHandler } from '@conclave/core'
import {
  ConnectRequest,
  FrameDecoder,
  JuteReader,
  KeeperState,
  Permission,
  ProtocolError,
  SpecialXid,
  type Acl,
} from '@conclave/protocol'
import { isAllowed, type Identity } from '../state/access.ts'
import type { Session } from '../state/session-tracker.ts'
import type { Watcher } from '../state/watch-manager.ts'
import { Outbox } from './outbox.ts'

/** What a connection needs of the server behind it. */
export interface ConnectionOwner {
  readonly maxFrameBytes: number
  /** The first frame. */
  onConnectRequest(client: ClientConnection, request: ConnectRequest): void
  /** Every other frame: header and body of a request. Throws `ProtocolError` where there is not even a header. */
  onRequest(client: ClientConnection, reader: JuteReader): void
  /** The connection has something to say. */
  onOutput(client: ClientConnection): void
  /** Everything that arrived together is dealt with: the moment to answer. */
  onTurnEnd(client: ClientConnection): void
  onClosed(client: ClientConnection): void
  log(message: string, client: ClientConnection): void
}

/** One client's connection: bytes in, frames out of them; replies and watch events in, bytes out. */
export class ClientConnection implements Watcher, ConnectionHandler {
  readonly outbox = new Outbox()
  /** Set once the handshake is done. */
  session: Session | undefined
  identities: readonly Identity[]
  /** In the owner's list of those who have something to say in this turn. */
  isTouched = false
  readonly #transport: Connection
  readonly #owner: ConnectionOwner
  readonly #decoder: FrameDecoder
  readonly #reader = new JuteReader(Buffer.alloc(0))
  #isConnected = false
  #ending = false
  #closed = false
  /** What was sent waits in memory, because the client does not read. */
  #isFull = false
  #waitsForLog = false

  constructor(transport: Connection, owner: ConnectionOwner) {
    this.#transport = transport
    this.#owner = owner
    this.#decoder = new FrameDecoder(owner.maxFrameBytes)
    this.identities = [{ scheme: 'ip', id: transport.remote.host.replace(/^::ffff:/, '') }]
    transport.start(this)
  }

  get remote(): string {
    return `${this.#transport.remote.host}:${this.#transport.remote.port}`
  }

  get sessionId(): bigint {
    return this.session?.id ?? 0n
  }

  get isClosed(): boolean {
    return this.#closed
  }

  onData(bytes: Buffer): void {
    if (this.#ending) return
    try {
      this.#decoder.push(bytes, (buffer, start, end) => this.#onFrame(buffer, start, end))
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#owner.log(`connection ended: ${messageOf(error)}`, this)
      this.destroy()
    }
    this.#owner.onTurnEnd(this)
  }

  #onFrame(buffer: Buffer, start: number, end: number): boolean {
    const reader = this.#reader
    reader.reset(buffer, start, end)
    if (this.#isConnected) this.#owner.onRequest(this, reader)
    else {
      this.#isConnected = true
      this.#owner.onConnectRequest(this, ConnectRequest.read(reader))
    }
    return !this.#ending && !this.#closed
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
  }

  /** Begins a reply or event; returns where, for `endFrame` or `failFrame`. */
  beginFrame(xid: number, zxid: number): number {
    const { writer } = this.outbox
    const start = writer.length
    writer.int32(0)
    writer.int32(xid)
    writer.safeInt64(zxid)
    writer.int32(0)
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

  /** Sends what waits only for records that are durable. */
  flush(durable: number): void {
    if (this.#closed) return
    const bytes = this.outbox.take(durable)
    if (bytes !== undefined && !this.#transport.write(bytes)) {
      this.#isFull = true
      this.#transport.pause()
    }
    if (this.#ending && this.outbox.isEmpty) this.#transport.end()
  }

  onDrain(): void {
    this.#isFull = false
    this.#transport.resume()
  }

  /** No more requests of this client are read until the log has caught up. */
  pauseUntilDurable(): void {
    this.#waitsForLog = true
    this.#transport.pause()
  }

  resumeWhenDurable(): void {
    if (!this.#waitsForLog) return
    this.#waitsForLog = false
    if (!this.#isFull) this.#transport.resume()
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
    this.#owner.onClosed(this)
  }
}
