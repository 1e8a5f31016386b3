/** A moment that threads share: one writes it, others read how long ago it was, also while the writer is busy. */
export class SharedTime {
  readonly buffer: SharedArrayBuffer
  readonly #ns: BigInt64Array

  /** The same moment as whoever gave away its `buffer` has; without one, long ago. */
  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT)) {
    this.buffer = buffer
    this.#ns = new BigInt64Array(buffer)
  }

  /** `ns`: by `processNs`. */
  set(ns: bigint = processNs()): void {
    Atomics.store(this.#ns, 0, ns)
  }

  get ageMs(): number {
    return Number(processNs() - Atomics.load(this.#ns, 0)) / 1e6
  }
}

/** The monotonic clock that all threads of a process have in common, which `performance.now` is not. In nanoseconds. */
export function processNs(): bigint {
  return process.hrtime.bigint()
}
