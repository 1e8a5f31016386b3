import { nodeNetwork, type Connection, type Endpoint, type Network } from '@conclave/core'
import {
  ConnectRequest,
  ConnectResponse,
  FrameDecoder,
  JuteReader,
  JuteWriter,
  ReplyHeader,
  RequestHeader,
  SpecialXid,
  WatcherEvent,
  type Operation,
} from '@conclave/protocol'

/** What is said in the handshake; everything has the default of a new session. */
export interface RawSessionOptions {
  /** The session timeout to ask for, in milliseconds. */
  readonly timeoutMs?: number
  /** The session to go on with. Default 0: a new one. */
  readonly sessionId?: bigint
  /** That of the session. Default 16 zero bytes. */
  readonly password?: Uint8Array
  /** A server that is behind it closes the connection. Default 0. */
  readonly lastZxidSeen?: bigint
  /** Whether a server that only reads will do; `undefined` leaves the byte out, as old clients do. */
  readonly readOnly?: boolean | undefined
  /** Default that of Node.js. */
  readonly network?: Network
}

/** A reply as it came. */
export interface RawReply {
  readonly xid: number
  readonly zxid: bigint
  readonly errorCode: number
  /** What follows the header. */
  readonly body: Buffer
}

/** A reply, its body decoded where there is one. */
export interface CallResult<Response> {
  readonly zxid: bigint
  readonly errorCode: number
  readonly response: Response | undefined
}

/** A watch event, and how many replies had come before it. */
export interface RawEvent extends WatcherEvent {
  readonly zxid: bigint
  readonly afterReplies: number
}

interface Waiting {
  resolve(reply: RawReply): void
  reject(error: Error): void
}

/**
 * A session at the level of the protocol, for tests of servers: one connection, no pings, no retries, every byte under the
 * test's control.
 */
export class RawSession implements AsyncDisposable {
  /** Settles when the connection is over. */
  readonly ended: Promise<void>
  /** The watch events so far. */
  readonly events: RawEvent[] = []
  readonly #connection: Connection
  readonly #decoder = new FrameDecoder(64 << 20)
  readonly #waiting: Waiting[] = []
  #handshake: ((response: ConnectResponse) => void) | undefined
  #response: ConnectResponse | undefined
  #nextXid = 1
  #replyCount = 0
  #ended = false

  private constructor(endpoint: Endpoint, network: Network, onEnd: (error: Error) => void) {
    this.#connection = network.connect(endpoint)
    this.ended = new Promise(resolve => {
      this.#connection.start({
        onData: bytes => this.#decoder.push(bytes, (buffer, start, end) => this.#onFrame(buffer, start, end)),
        onClose: error => {
          this.#ended = true
          const reason = error ?? new Error('the server ended the connection')
          for (const { reject } of this.#waiting.splice(0)) reject(reason)
          onEnd(reason)
          resolve()
        },
      })
    })
  }

  /** Resolves with the server's answer, whatever it is; rejects when it ends the connection instead. */
  static connect(endpoint: Endpoint, options: RawSessionOptions = {}): Promise<RawSession> {
    return new Promise((resolve, reject) => {
      const session = new RawSession(endpoint, options.network ?? nodeNetwork, reject)
      session.#handshake = response => {
        session.#response = response
        resolve(session)
      }
      session.send(writer =>
        ConnectRequest.write(writer, {
          protocolVersion: 0,
          lastZxidSeen: options.lastZxidSeen ?? 0n,
          timeoutMs: options.timeoutMs ?? 10_000,
          sessionId: options.sessionId ?? 0n,
          password: options.password ?? Buffer.alloc(16),
          readOnly: 'readOnly' in options ? options.readOnly : false,
        }),
      )
    })
  }

  /** The server's answer to the handshake; a session that was refused has `timeoutMs` 0. */
  get granted(): ConnectResponse {
    return this.#response!
  }

  /** As the server has confirmed it. */
  get sessionId(): bigint {
    return this.granted.sessionId
  }

  /** Whether the connection is over. */
  get isEnded(): boolean {
    return this.#ended
  }

  /** Sends one frame and waits for nothing. */
  send(write: (writer: JuteWriter) => void): void {
    const writer = new JuteWriter()
    writer.int32(0)
    write(writer)
    writer.patchInt32(0, writer.length - 4)
    this.#connection.write(writer.copy())
  }

  /** Sends bytes as they are. */
  sendBytes(bytes: Uint8Array): void {
    this.#connection.write(bytes)
  }

  /** Sends a request; the reply is the next one that is no event. */
  request(
    opCode: number,
    write: (writer: JuteWriter) => void = () => {},
    xid: number = this.#nextXid++,
  ): Promise<RawReply> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(new Error('the connection is over'))
      this.#waiting.push({ resolve, reject })
      this.send(writer => {
        RequestHeader.write(writer, { xid, opCode })
        write(writer)
      })
    })
  }

  /** Sends a request of the protocol and decodes its answer. */
  async call<Request, Response>(
    operation: Operation<Request, Response>,
    request: Request,
  ): Promise<CallResult<Response>> {
    const reply = await this.request(operation.opCode, writer => operation.request.write(writer, request))
    const reader = new JuteReader(reply.body)
    const response = reply.errorCode === 0 ? operation.response.read(reader) : undefined
    if (reply.errorCode === 0) reader.finish()
    return { zxid: reply.zxid, errorCode: reply.errorCode, response }
  }

  #onFrame(buffer: Buffer, start: number, end: number): void {
    const reader = new JuteReader(buffer, start, end)
    if (this.#handshake !== undefined) {
      const handshake = this.#handshake
      this.#handshake = undefined
      return handshake(ConnectResponse.read(reader))
    }
    const header = ReplyHeader.read(reader)
    if (header.xid === SpecialXid.notification) {
      const event = WatcherEvent.read(reader)
      this.events.push({ ...event, zxid: header.zxid, afterReplies: this.#replyCount })
      return
    }
    this.#replyCount++
    const waiting = this.#waiting.shift()
    if (waiting === undefined) throw new Error(`a reply to nothing: xid ${header.xid}`)
    waiting.resolve({ ...header, body: Buffer.from(buffer.subarray(reader.offset, end)) })
  }

  /** Sends what was written, then ends this side of the connection. */
  end(): void {
    this.#connection.end()
  }

  /** Ends the connection; the session lives on. Resolves when it is over. */
  async close(): Promise<void> {
    this.#connection.destroy()
    await this.ended
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
