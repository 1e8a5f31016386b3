import { JuteWriter } from '@conclave/protocol'

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
    const bytes = Buffer.from(this.writer.view().subarray(0, end))
    if (end === this.writer.length) this.writer.reset()
    else this.writer.discard(end)
    for (let i = 0; i < this.#ends.length; i++) this.#ends[i]! -= end
    return bytes
  }
}
