/** Every block is so many bytes, or a multiple of it. */
const UNIT_BYTES = 16
const SLAB_BYTES = 64 << 10
const UNITS_PER_SLAB = SLAB_BYTES / UNIT_BYTES
/** An address is the number of its slab and, in so many lower bits, where in that it lies, in units. */
const UNIT_BITS = 12
const UNIT_MASK = UNITS_PER_SLAB - 1
/** What is larger has memory of its own: its bookkeeping no longer matters. */
export const MAX_BLOCK_BYTES = 1024

const MIN_FILL_BYTES = 256

const EMPTY = Buffer.alloc(0)

/** Where data are kept: the address of their block, large data themselves, or `null` for none. */
export type KeptData = number | Buffer | null

/** The address of no block: whoever asks for the data of a znode that is no longer in the tree shall not get another's. */
export const GIVEN_BACK = -1

/** Memory for blocks of one size: handed out front to back at first, and then again as they come back. */
class Slab {
  /**
   * Shared memory, though with nobody: whenever there is so much more of the other kind, V8 collects all garbage. Of this it
   * does not know, so that of a tree that was given up goes only when the heap needs a collection.
   */
  readonly bytes = Buffer.from(new SharedArrayBuffer(SLAB_BYTES))
  readonly index: number
  readonly units: number
  /** Blocks in use. */
  used = 0
  /** Where those begin that were never handed out, in units. */
  #fresh = 0
  /** The block that came back last, in units, and 1; 0: none. Each begins with the one before it. */
  #returned = 0

  constructor(index: number, units: number) {
    this.index = index
    this.units = units
  }

  get isFull(): boolean {
    return this.#returned === 0 && this.#fresh + this.units > UNITS_PER_SLAB
  }

  /** Where the block begins, in units. */
  take(): number {
    this.used++
    if (this.#returned === 0) {
      this.#fresh += this.units
      return this.#fresh - this.units
    }
    const unit = this.#returned - 1
    this.#returned = this.bytes.readUInt16LE(unit * UNIT_BYTES)
    return unit
  }

  giveBack(unit: number): void {
    this.used--
    this.bytes.writeUInt16LE(this.#returned, unit * UNIT_BYTES)
    this.#returned = unit + 1
  }
}

/**
 * The data of all znodes of a tree, outside of the heap of JavaScript, where a million small buffers or strings would be
 * moved twice, and then looked at, by each collection. Data are copied in, and are there until they are given back.
 */
export class DataMemory {
  readonly #slabs: (Slab | undefined)[] = []
  /** Indexes of slabs that were given up. */
  readonly #unused: number[] = []
  /** Slabs that have room, by the units of their blocks. */
  readonly #open: Slab[][] = Array.from({ length: MAX_BLOCK_BYTES / UNIT_BYTES + 1 }, () => [])

  /** How much memory the blocks are part of. */
  get slabBytes(): number {
    return (this.#slabs.length - this.#unused.length) * SLAB_BYTES
  }

  /** Copies `data`, because what comes is a view of a network buffer or of a window on the log. */
  keep(data: Uint8Array | null): KeptData {
    if (data === null) return null
    const { length } = data
    if (length === 0) return EMPTY
    if (length > MAX_BLOCK_BYTES) return ownCopy(data)
    const open = this.#open[unitsOf(length)]!
    const slab = open.at(-1) ?? this.#addSlab(unitsOf(length))
    const unit = slab.take()
    if (slab.isFull) open.pop()
    const start = unit * UNIT_BYTES
    // To shared memory V8 copies byte by byte, unless both sides are aligned alike; the way out of JavaScript costs less then.
    if (length < MIN_FILL_BYTES) slab.bytes.set(data, start)
    else slab.bytes.fill(data, start, start + length)
    return (slab.index << UNIT_BITS) | unit
  }

  /** The data, of that length, to look at: valid until they are given back. */
  view(kept: KeptData, length: number): Buffer | null {
    if (typeof kept !== 'number') return kept
    const start = (kept & UNIT_MASK) * UNIT_BYTES
    return this.#slabOf(kept).bytes.subarray(start, start + length)
  }

  giveBack(kept: KeptData): void {
    if (typeof kept !== 'number') return
    const slab = this.#slabOf(kept)
    const open = this.#open[slab.units]!
    if (slab.isFull) open.push(slab)
    slab.giveBack(kept & UNIT_MASK)
    if (slab.used > 0 || open.length === 1) return
    open.splice(open.lastIndexOf(slab), 1)
    this.#slabs[slab.index] = undefined
    this.#unused.push(slab.index)
  }

  clear(): void {
    this.#slabs.length = 0
    this.#unused.length = 0
    for (const open of this.#open) open.length = 0
  }

  #slabOf(address: number): Slab {
    return this.#slabs[address >>> UNIT_BITS]!
  }

  #addSlab(units: number): Slab {
    const slab = new Slab(this.#unused.pop() ?? this.#slabs.length, units)
    this.#slabs[slab.index] = slab
    this.#open[units]!.push(slab)
    return slab
  }
}

/** `Buffer.from` would take it from memory that is shared with whatever else is small and may be gone soon. */
function ownCopy(data: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(data.length)
  copy.set(data)
  return copy
}

function unitsOf(length: number): number {
  return Math.ceil(length / UNIT_BYTES)
}
