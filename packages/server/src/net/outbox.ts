import type { Connection } from '@conclave/core'
import { JuteWriter } from '@conclave/protocol'

/** So much memory is kept for what will be said next, */
const MAX_FREE_BYTES = 8 << 20
/** and none of which one part has more than this: few have as much to say. */
const MAX_FREE_PART_BYTES = 1 << 20
/** So much more than the bytes that it is kept for may be left to a connection. */
const MAX_LEFT_BYTES = 64 << 10

/**
 * Memory for what connections have to say. It is theirs only while they have something to say, so it is as much as is said at
 * a time, however many connections there are; and the memory used last, which the processor has at hand, is used next.
 */
export class OutboxMemory {
  readonly #free: JuteWriter[] = []
  #freeBytes = 0

  take(): JuteWriter {
    const writer = this.#free.pop()
    if (writer === undefined) return new JuteWriter()
    this.#freeBytes -= writer.buffer.length
    return writer
  }

  giveBack(writer: JuteWriter): void {
    const bytes = writer.buffer.length
    if (bytes > MAX_FREE_PART_BYTES || this.#freeBytes + bytes > MAX_FREE_BYTES) return
    writer.reset()
    this.#free.push(writer)
    this.#freeBytes += bytes
  }
}

/**
 * What a connection has to say and may not say yet: answers are encoded straight into one buffer, and marks in it tell
 * how much of it must wait for which record of the log. So nothing that is not durable ever leaves the server.
 */
export class Outbox {
  readonly #memory: OutboxMemory
  /** `undefined` while there is nothing to say. */
  #writer: JuteWriter | undefined
  /** Bytes up to `#ends[i]` wait until `#needs[i]` records are durable. Both ascend. */
  readonly #needs: number[] = []
  readonly #ends: number[] = []

  constructor(memory: OutboxMemory) {
    this.#memory = memory
  }

  /** Where to write to: valid until the next `send`. */
  get writer(): JuteWriter {
    return (this.#writer ??= this.#memory.take())
  }

  /** How many bytes wait. */
  get length(): number {
    return this.#writer === undefined ? 0 : this.#writer.length
  }

  get isEmpty(): boolean {
    return this.length === 0
  }

  /** All that was written since the last seal waits until that many records are durable. */
  seal(needs: number): void {
    const last = this.#needs.length - 1
    const end = this.length
    if (last >= 0 && this.#ends[last] === end) return
    if (last >= 0 && this.#needs[last] === needs) this.#ends[last] = end
    else {
      this.#needs.push(needs)
      this.#ends.push(end)
    }
  }

  /** Sends what may go, now that `durable` records are; `false` when the connection takes no more for now. */
  send(connection: Connection, durable: number): boolean {
    const end = this.#takeMarks(durable)
    if (end === 0) return true
    const writer = this.writer
    const bytes = writer.buffer.subarray(0, end)
    // Where something is queued already, this will be, too: then a copy, no larger than what it holds. So where too much
    // memory would be lost if it was.
    if (connection.heldBytes !== 0 || writer.buffer.length - end > MAX_LEFT_BYTES) {
      const takesMore = connection.write(Buffer.from(bytes))
      this.#drop(end)
      return takesMore
    }
    const takesMore = connection.write(bytes)
    if (connection.heldBytes === 0) this.#drop(end)
    else this.#leave(end)
    return takesMore
  }

  /** Forgets all that waits. */
  clear(): void {
    this.#needs.length = 0
    this.#ends.length = 0
    if (this.#writer !== undefined) this.#memory.giveBack(this.#writer)
    this.#writer = undefined
  }

  /** Returns up to where all is free to go. */
  #takeMarks(durable: number): number {
    let count = 0
    while (count < this.#needs.length && this.#needs[count]! <= durable) count++
    if (count === 0) return 0
    const end = this.#ends[count - 1]!
    const left = this.#needs.length - count
    for (let i = 0; i < left; i++) {
      this.#needs[i] = this.#needs[count + i]!
      this.#ends[i] = this.#ends[count + i]! - end
    }
    // One by one: to shorten a list otherwise makes another, for each answer.
    for (; count > 0; count--) {
      this.#needs.pop()
      this.#ends.pop()
    }
    return end
  }

  /** The first bytes are gone. */
  #drop(end: number): void {
    const writer = this.writer
    if (end < writer.length) return writer.discard(end)
    this.#memory.giveBack(writer)
    this.#writer = undefined
  }

  /** The first bytes, and their memory with them, are the connection's now. */
  #leave(end: number): void {
    const rest = this.writer.view().subarray(end)
    this.#writer = undefined
    if (rest.length > 0) this.writer.raw(rest)
  }
}
