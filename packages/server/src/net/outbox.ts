import { JuteWriter } from '@conclave/protocol'

const MAX_COPIED_BYTES = 256 << 10

/**
 * What a connection has to say and may not say yet: answers are encoded straight into one buffer, and marks in it tell
 * how much of it must wait for which record of the log. So nothing that is not durable ever leaves the server.
 */
export class Outbox {
  readonly writer = new JuteWriter()
  /** Bytes up to `#ends[i]` wait until `#needs[i]` records are durable. Both ascend. */
  readonly #needs: number[] = []
  readonly #ends: number[] = []

  get isEmpty(): boolean {
    return this.writer.length === 0
  }

  /** All that was written since the last seal waits until that many records are durable. */
  seal(needs: number): void {
    const last = this.#needs.length - 1
    const end = this.writer.length
    if (last >= 0 && this.#ends[last] === end) return
    if (last >= 0 && this.#needs[last] === needs) this.#ends[last] = end
    else {
      this.#needs.push(needs)
      this.#ends.push(end)
    }
  }

  /** Takes out what may go, now that `durable` records are. */
  take(durable: number): Buffer | undefined {
    let count = 0
    while (count < this.#needs.length && this.#needs[count]! <= durable) count++
    if (count === 0) return undefined
    const end = this.#ends[count - 1]!
    this.#needs.splice(0, count)
    this.#ends.splice(0, count)
    const bytes = this.#takeOut(end)
    for (let i = 0; i < this.#ends.length; i++) this.#ends[i]! -= end
    return bytes
  }

  #takeOut(end: number): Buffer {
    const { writer } = this
    // A copy of what is little; what is much goes as it is, and its memory does not stay with the connection.
    if (end === writer.length && end > MAX_COPIED_BYTES) return writer.detach()
    const bytes = Buffer.from(writer.view().subarray(0, end))
    if (end === writer.length) writer.reset()
    else writer.discard(end)
    return bytes
  }
}
