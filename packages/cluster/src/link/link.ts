import { ConclaveError, type Connection } from '@conclave/core'
import { FrameDecoder, ProtocolError } from '@conclave/protocol'

/** Before both sides have proven themselves a frame has no reason to be large. */
export const MAX_HANDSHAKE_BYTES = 64 * 1024

/** Far above what either side sends in one message (see `MAX_BATCH_BYTES`). */
export const MAX_LINK_FRAME_BYTES = 64 * 1024 * 1024

/** Senders cut their batches near this size, so that no frame holds the other side's loop for long. */
export const MAX_BATCH_BYTES = 1024 * 1024

/** The other side of a link broke the rules, or could not prove that it belongs to the cluster. */
export class LinkError extends ConclaveError {
  override readonly name = 'LinkError'
  constructor(message: string, cause?: unknown) {
    super(message, { code: 'LINK', cause })
  }
}

export interface LinkHandler {
  /** `lines` are the items' JSON texts. A throw ends the link. */
  onMessage(header: unknown, lines: readonly string[]): void
  onClose(error?: Error): void
}

/** Messages over one connection: framing, and the closing of a connection that breaks it. */
export class Link {
  readonly #connection: Connection
  #handler: LinkHandler
  readonly #decoder: FrameDecoder
  #failure: Error | undefined

  constructor(connection: Connection, handler: LinkHandler) {
    this.#connection = connection
    this.#handler = handler
    this.#decoder = new FrameDecoder(MAX_HANDSHAKE_BYTES)
  }

  start(onConnect: () => void = () => {}): void {
    this.#connection.start({
      onConnect,
      onData: bytes => this.#onData(bytes),
      onClose: error => this.#handler.onClose(this.#failure ?? error),
    })
  }

  /** The handshake is over: another handler takes over, and frames may be large. */
  open(handler: LinkHandler): void {
    this.#handler = handler
    this.#decoder.maxFrameBytes = MAX_LINK_FRAME_BYTES
  }

  send(header: object, lines: readonly string[] = []): void {
    const text =
      lines.length === 0 ? JSON.stringify(header) : JSON.stringify(header) + '\n' + lines.join('\n')
    const length = Buffer.byteLength(text)
    const frame = Buffer.allocUnsafe(4 + length)
    frame.writeInt32BE(length)
    frame.write(text, 4)
    this.#connection.write(frame)
  }

  /** Ends the link at once; `onClose` follows, with the reason. */
  destroy(reason?: Error): void {
    this.#failure ??= reason
    this.#connection.destroy()
  }

  /** Sends what was written, then ends the link. */
  end(): void {
    this.#connection.end()
  }

  #onData(bytes: Buffer): void {
    try {
      this.#decoder.push(bytes, (buffer, start, end) => {
        const [header, ...lines] = buffer.toString('utf8', start, end).split('\n')
        this.#handler.onMessage(JSON.parse(header!), lines)
      })
    } catch (error) {
      this.destroy(
        error instanceof ConclaveError ? error : new ProtocolError(`broken message: ${String(error)}`),
      )
    }
  }
}
