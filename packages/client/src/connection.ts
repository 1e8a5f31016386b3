import type { Clock, Connection as ByteStream } from '@conclave/core'
import {
  ConnectRequest,
  ConnectResponse,
  FrameDecoder,
  JuteReader,
  JuteWriter,
  OpCode,
  SpecialXid,
  WatcherEvent,
  type Operation,
} from '@conclave/protocol'
import type { Activity } from './session-machine.ts'

/** What the session is told by its connection, in the order of the wire. */
export interface ConnectionHandler {
  onDialed(): void
  onGreeted(response: ConnectResponse): void
  /** `reader` stands at the body; there is none where `errorCode` is not 0. */
  onReply(xid: number, zxid: bigint, errorCode: number, reader: JuteReader): void
  onAuthReply(errorCode: number): void
  onSaslReply(errorCode: number, reader: JuteReader): void
  /** The answer to `setWatches` or `setWatches2`. */
  onWatchesReply(errorCode: number): void
  /** Every promise of an earlier reply has settled, and who awaited it has run. */
  onEvent(event: WatcherEvent, zxid: bigint): void
  /** Called once, unless `hangUp` came before it. */
  onClosed(cause: Error | undefined): void
}

export interface ConnectionLimits {
  /** The largest request, without its four bytes of length. */
  readonly maxRequestBytes: number
  readonly maxReplyBytes: number
}

/** A byte stream that may keep itself alive: see `HeartbeatThread`. Its writes are whole frames. */
export interface ClientStream extends ByteStream {
  /** From here on it pings by itself, whenever nothing was written for that long. */
  keepAlive?(intervalMs: number): void
  /** When the last of its own pings was sent that was answered, in monotonic milliseconds. */
  readonly answeredMs?: number
}

/** Requests of one turn of the event loop, which are written together. */
export interface Batch {
  /** When they count as sent, in monotonic milliseconds: never later than they really were. */
  readonly sentMs: number
  /** They were handed to the stream, so the server may have them. */
  flushed: boolean
  /** How many there are. */
  requestCount: number
}

/** A frame that waits until those before it were handled. */
interface HeldFrame {
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
}

const FRAME_HEADER_BYTES = 4

/** Servers answer with whatever xid a SASL request had; this one is nobody else's. */
export const SASL_XID = -102

/** Xids are positive and start again after this one; long before, the first of them was answered. */
const MAX_XID = 0x7fff_ffff

/** Memory for the next turn's requests is no smaller at first, and where it is used again no larger, than this. */
const MIN_BATCH_BYTES = 512
const MAX_BATCH_BYTES = 128 * 1024

/**
 * With so many requests the first batch of a turn goes out, with twice as many the next, and so on: the server works on them
 * while the next are made.
 */
const FIRST_BATCH_REQUESTS = 24
/** With so many bytes each goes out, so that memory need not grow. */
const FULL_BATCH_BYTES = 96 * 1024

/**
 * One connection to one server: requests become frames, gathered and written once per turn of the event loop, or more
 * often where there are many; bytes become replies and events.
 */
export class Connection {
  readonly #stream: ClientStream
  readonly #clock: Clock
  readonly #handler: ConnectionHandler
  readonly #limits: ConnectionLimits
  readonly #decoder: FrameDecoder
  readonly #reader = new JuteReader(Buffer.alloc(0))
  readonly #writer = new JuteWriter()
  #greeted = false
  /** `onClosed` was called, or `hangUp`: nothing is told any more. */
  #over = false
  /** What gathers now; `undefined` until the first request of a turn. */
  #batch: Batch | undefined
  /** With how many requests it goes out before the end of its turn. */
  #fullBatchRequests = FIRST_BATCH_REQUESTS
  /** The stream's own queue is full; requests gather here until it drains. */
  #blocked = false
  #xid = 0
  #sentMs: number
  #heardMs: number
  #answeredMs: number
  /** When the pings without an answer were sent. */
  readonly #pingsMs: number[] = []
  #greetedMs = 0
  /** Frames that must wait for the callbacks of those before them; `undefined` when nothing has to wait. */
  #held: HeldFrame[] | undefined
  #closedWhileHeld: { readonly cause: Error | undefined } | undefined

  constructor(stream: ClientStream, clock: Clock, handler: ConnectionHandler, limits: ConnectionLimits) {
    this.#stream = stream
    this.#clock = clock
    this.#handler = handler
    this.#limits = limits
    this.#decoder = new FrameDecoder(limits.maxReplyBytes)
    this.#sentMs = this.#heardMs = this.#answeredMs = clock.nowMs()
  }

  start(): void {
    this.#stream.start({
      onConnect: () => {
        if (!this.#over) this.#handler.onDialed()
      },
      onData: bytes => this.#onData(bytes),
      onDrain: () => {
        this.#blocked = false
        this.flush()
      },
      onClose: error => {
        if (this.#held === undefined) this.#close(error)
        else this.#closedWhileHeld = { cause: error }
      },
    })
  }

  get activity(): Activity {
    return { sentMs: this.#sentMs, heardMs: this.#heardMs, answeredMs: this.answeredMs }
  }

  get answeredMs(): number {
    return Math.max(this.#answeredMs, this.#stream.answeredMs ?? -Infinity)
  }

  /** When the bytes that are being handled arrived. */
  get heardMs(): number {
    return this.#heardMs
  }

  /** The batch of the request written last. */
  get batch(): Batch | undefined {
    return this.#batch
  }

  /** The first frame: asks for a session. */
  greet(request: ConnectRequest): void {
    const start = this.#beginFrame()
    ConnectRequest.write(this.#writer, request)
    this.#endFrame(start)
    this.#greetedMs = this.#sentMs
  }

  /**
   * Writes a request and returns its xid; a larger one than servers take is not written, and its size is returned
   * as a negative number. What cannot be encoded throws, and leaves nothing behind.
   */
  send<Request>(operation: Operation<Request, unknown>, request: Request): number {
    const start = this.#beginFrame()
    const writer = this.#writer
    const xid = this.#xid === MAX_XID ? 1 : this.#xid + 1
    writer.int32(xid)
    writer.int32(operation.opCode)
    try {
      operation.request.write(writer, request)
    } catch (error) {
      writer.truncate(start)
      throw error
    }
    const size = writer.length - start - FRAME_HEADER_BYTES
    if (size > this.#limits.maxRequestBytes) {
      writer.truncate(start)
      return -size
    }
    this.#endFrame(start)
    this.#xid = xid
    return xid
  }

  /** Writes a request whose answer is known by a special xid and comes outside the order of the others. */
  sendSpecial<Request>(xid: number, operation: Operation<Request, unknown>, request: Request): void {
    const start = this.#beginFrame()
    this.#writer.int32(xid)
    this.#writer.int32(operation.opCode)
    operation.request.write(this.#writer, request)
    this.#endFrame(start)
  }

  /** From here on there is a ping at least that often, where the stream can do that by itself. */
  keepAlive(intervalMs: number): void {
    this.#stream.keepAlive?.(intervalMs)
  }

  /** Where the stream pings by itself, its answers are no longer told from those to others: it is left to it. */
  ping(): void {
    if (this.#stream.keepAlive !== undefined) return
    const start = this.#beginFrame()
    this.#writer.int32(SpecialXid.ping)
    this.#writer.int32(OpCode.ping)
    this.#endFrame(start)
    this.#pingsMs.push(this.#sentMs)
  }

  /** The reply that is being handled answers a request of this batch. */
  markAnswered(batch: Batch): void {
    this.#answeredMs = batch.sentMs
  }

  /** Ends the connection without a word to the handler. */
  hangUp(): void {
    if (this.#over) return
    // What was asked last, such as to close the session, still goes out where the stream takes it at once.
    this.flush()
    this.#over = true
    this.#stream.destroy()
  }

  /** Ends the connection because of what the server sent. */
  fail(cause: Error): void {
    this.#stream.destroy()
    this.#close(cause)
  }

  #close(cause: Error | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#handler.onClosed(cause)
  }

  #beginFrame(): number {
    if (this.#writer.length >= FULL_BATCH_BYTES) this.flush()
    else if (this.#batch?.requestCount === this.#fullBatchRequests) {
      this.#fullBatchRequests *= 2
      this.flush()
    }
    if (this.#batch === undefined) {
      this.#sentMs = this.#clock.nowMs()
      this.#batch = { sentMs: this.#sentMs, flushed: false, requestCount: 0 }
      process.nextTick(endTurn, this)
    }
    this.#batch.requestCount++
    const start = this.#writer.length
    this.#writer.int32(0)
    return start
  }

  #endFrame(start: number): void {
    this.#writer.patchInt32(start, this.#writer.length - start - FRAME_HEADER_BYTES)
  }

  /** Writes what has gathered; what comes from now on belongs to the next turn. */
  endTurn(): void {
    this.#fullBatchRequests = FIRST_BATCH_REQUESTS
    this.flush()
  }

  /** Writes what has gathered since the last time. */
  flush(): void {
    if (this.#over || this.#blocked || this.#batch === undefined) return
    this.#batch.flushed = true
    this.#batch = undefined
    const writer = this.#writer
    if (writer.length === 0) return
    this.#blocked = !this.#stream.write(writer.view())
    // Where all of it is gone already, the memory is used again; else it is the stream's now.
    if (this.#stream.heldBytes === 0 && writer.length <= MAX_BATCH_BYTES) writer.reset()
    else writer.detach(Math.min(Math.max(writer.length, MIN_BATCH_BYTES), MAX_BATCH_BYTES))
  }

  #onData(bytes: Buffer): void {
    if (this.#over) return
    this.#heardMs = this.#clock.nowMs()
    try {
      this.#decoder.push(bytes, this.#onFrame)
    } catch (error) {
      this.fail(error as Error)
    }
  }

  readonly #onFrame = (buffer: Buffer, start: number, end: number): boolean => {
    if (this.#held !== undefined) {
      this.#held.push({ buffer, start, end })
    } else if (this.#greeted && isEvent(buffer, start, end)) {
      this.#held = [{ buffer, start, end }]
      this.#releaseSoon()
    } else {
      this.#handle(buffer, start, end)
    }
    return !this.#over
  }

  /**
   * An event must not be told before those who await an earlier reply have run. They run in the microtasks that
   * were queued before; what these queue in turn has run at the next tick.
   */
  #releaseSoon(): void {
    queueMicrotask(() => process.nextTick(() => this.#release()))
  }

  #release(): void {
    const held = this.#held ?? []
    let at = 0
    try {
      for (let settled = false; at < held.length && !this.#over; at++) {
        const { buffer, start, end } = held[at]!
        const event = isEvent(buffer, start, end)
        if (event && settled) {
          this.#held = held.slice(at)
          return this.#releaseSoon()
        }
        settled = !event
        this.#handle(buffer, start, end)
      }
    } catch (error) {
      this.fail(error as Error)
    }
    this.#held = undefined
    if (this.#closedWhileHeld !== undefined) this.#close(this.#closedWhileHeld.cause)
  }

  #handle(buffer: Buffer, start: number, end: number): void {
    const reader = this.#reader
    reader.reset(buffer, start, end)
    if (!this.#greeted) {
      this.#greeted = true
      this.#answeredMs = this.#greetedMs
      this.#handler.onGreeted(ConnectResponse.read(reader))
      return
    }
    const xid = reader.int32()
    const zxid = reader.int64()
    const errorCode = reader.int32()
    switch (xid) {
      case SpecialXid.notification:
        this.#handler.onEvent(WatcherEvent.read(reader), zxid)
        return
      case SpecialXid.ping:
        this.#answeredMs = this.#pingsMs.shift() ?? this.#answeredMs
        return
      case SpecialXid.auth:
        this.#handler.onAuthReply(errorCode)
        return
      case SASL_XID:
        this.#handler.onSaslReply(errorCode, reader)
        return
      case SpecialXid.setWatches:
        this.#handler.onWatchesReply(errorCode)
        return
      default:
        this.#handler.onReply(xid, zxid, errorCode, reader)
    }
  }
}

function endTurn(connection: Connection): void {
  connection.endTurn()
}

function isEvent(buffer: Buffer, start: number, end: number): boolean {
  return end - start >= 4 && buffer.readInt32BE(start) === SpecialXid.notification
}
