import { ChecksumMemory, type WasmMemory } from '../checksum/checksum-memory.ts'

/** Larger batches than this are not for the thread; what is not used of it takes no memory. */
export const MAX_BATCH_BYTES = 4 << 20

/** What a thread needs to write a batch of records: memory that both threads see. */
export interface LogOrder {
  /** Of the file, as the operating system knows it. */
  readonly descriptor: number
  /** Where in the file the batch goes. */
  readonly position: number
  /** How large the file is to be made before; 0: it is large enough. */
  readonly sizeBytes: number
  /** The batch is the first so many shared bytes. */
  readonly lengthBytes: number
}

/** Of how the memory is used: a new version of the program may lie where a running server is from. */
const LAYOUT = 1

/** The memory that a `SharedOrder` lies in. */
export interface SharedOrderMemory {
  readonly layout: number
  readonly counts: SharedArrayBuffer
  readonly fields: SharedArrayBuffer
  readonly batch: WasmMemory
}

const ASKED = 0
const DONE = 1

/**
 * One order at a time for a thread, in memory that both see. So the one that asks can look at any moment whether it is
 * done, without waiting for its event loop, and the other sleeps until it is asked.
 */
export class SharedOrder {
  readonly memory: SharedOrderMemory
  /** Where the batch is. */
  readonly batch: ChecksumMemory
  readonly #counts: Int32Array
  readonly #fields: Float64Array

  constructor(memory: SharedOrderMemory) {
    if (memory.layout !== LAYOUT) throw new Error('the thread is of another version of the server')
    this.memory = memory
    this.batch = new ChecksumMemory(memory.batch)
    this.#counts = new Int32Array(memory.counts)
    this.#fields = new Float64Array(memory.fields)
  }

  static allocate(): SharedOrder {
    return new SharedOrder({
      layout: LAYOUT,
      counts: new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT),
      fields: new SharedArrayBuffer(4 * Float64Array.BYTES_PER_ELEMENT),
      batch: ChecksumMemory.allocate(MAX_BATCH_BYTES).memory,
    })
  }

  /** Asks for it. The one before must be done. */
  ask({ descriptor, position, sizeBytes, lengthBytes }: LogOrder): void {
    this.#fields.set([descriptor, position, sizeBytes, lengthBytes])
    Atomics.add(this.#counts, ASKED, 1)
    Atomics.notify(this.#counts, ASKED)
  }

  /** Sleeps until there is one that is not done. */
  await(): LogOrder {
    const done = Atomics.load(this.#counts, DONE)
    // Again and again: who asks may be held up between the count and the wake-up, which then comes when the order is done.
    while (Atomics.load(this.#counts, ASKED) === done) Atomics.wait(this.#counts, ASKED, done)
    const [descriptor, position, sizeBytes, lengthBytes] = this.#fields as unknown as readonly number[]
    return {
      descriptor: descriptor!,
      position: position!,
      sizeBytes: sizeBytes!,
      lengthBytes: lengthBytes!,
    }
  }

  /** The order is carried out. */
  done(): void {
    Atomics.add(this.#counts, DONE, 1)
  }

  get isDone(): boolean {
    return Atomics.load(this.#counts, ASKED) === Atomics.load(this.#counts, DONE)
  }
}
