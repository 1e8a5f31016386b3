import { ProtocolError } from './protocol-error.ts'

/** ZooKeeper's default for `jute.maxbuffer`: the largest frame, without its four bytes of length. */
export const DEFAULT_MAX_FRAME_BYTES = 0xfffff

const HEADER_BYTES = 4

/**
 * Cuts a byte stream into frames (four bytes of length, then that many bytes), however the stream was cut on its
 * way. A negative or too large length is refused before anything is allocated.
 */
export class FrameDecoder {
  #maxFrameBytes: number
  #pending: Buffer | undefined
  /** Bytes of `#pending` that are filled. */
  #filled = 0

  constructor(maxFrameBytes: number = DEFAULT_MAX_FRAME_BYTES) {
    this.#maxFrameBytes = maxFrameBytes
  }

  /** The largest frame that is taken from now on: it may grow as the peer becomes trusted. */
  set maxFrameBytes(bytes: number) {
    this.#maxFrameBytes = bytes
  }

  /** Bytes that wait for the rest of their frame. */
  get pendingBytes(): number {
    return this.#pending === undefined ? 0 : this.#filled
  }

  /**
   * Takes the next bytes and calls back for each whole frame with where it lies: `buffer[start]` to
   * `buffer[end - 1]`, which stays valid afterwards. Return `false` there to stop: what follows is returned, to be pushed
   * later, or dropped. Throws `ProtocolError`, after which the stream cannot be read on.
   */
  push(
    chunk: Buffer,
    onFrame: (buffer: Buffer, start: number, end: number) => boolean | void,
  ): Buffer | undefined {
    let offset = 0
    if (this.#pending !== undefined) {
      offset = this.#complete(chunk)
      const pending = this.#pending
      if (this.#filled < pending.length) return undefined
      this.#pending = undefined
      if (onFrame(pending, HEADER_BYTES, pending.length) === false) return restOf(chunk, offset)
    }
    const end = chunk.length
    while (end - offset >= HEADER_BYTES) {
      const frameEnd = offset + HEADER_BYTES + this.#checked(frameLength(chunk, offset))
      if (frameEnd > end) break
      if (onFrame(chunk, offset + HEADER_BYTES, frameEnd) === false) return restOf(chunk, frameEnd)
      offset = frameEnd
    }
    if (offset < end) this.#keep(chunk, offset)
    return undefined
  }

  /** Fills `#pending` from the chunk; returns how much of the chunk was used. */
  #complete(chunk: Buffer): number {
    let used = this.#fill(chunk, 0)
    const pending = this.#pending!
    if (pending.length === HEADER_BYTES && this.#filled === HEADER_BYTES) {
      const whole = Buffer.allocUnsafe(HEADER_BYTES + this.#checked(frameLength(pending, 0)))
      pending.copy(whole)
      this.#pending = whole
      used += this.#fill(chunk, used)
    }
    return used
  }

  #fill(chunk: Buffer, offset: number): number {
    const pending = this.#pending!
    const used = Math.min(pending.length - this.#filled, chunk.length - offset)
    chunk.copy(pending, this.#filled, offset, offset + used)
    this.#filled += used
    return used
  }

  /** Keeps the head of a frame whose rest is still to come. */
  #keep(chunk: Buffer, offset: number): void {
    const available = chunk.length - offset
    const size = available < HEADER_BYTES ? HEADER_BYTES : HEADER_BYTES + frameLength(chunk, offset)
    this.#pending = Buffer.allocUnsafe(size)
    this.#filled = 0
    this.#fill(chunk, offset)
  }

  #checked(length: number): number {
    if (length < 0 || length > this.#maxFrameBytes) {
      throw new ProtocolError(
        `frame of ${length} bytes, the limit (jute.maxbuffer) is ${this.#maxFrameBytes}`,
      )
    }
    return length
  }
}

function restOf(chunk: Buffer, offset: number): Buffer | undefined {
  return offset < chunk.length ? chunk.subarray(offset) : undefined
}

function frameLength(buffer: Buffer, offset: number): number {
  return buffer.readInt32BE(offset)
}
