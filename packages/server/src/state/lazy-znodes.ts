import { JuteReader, ProtocolError } from '@conclave/protocol'
import type { AclCache } from './acl-cache.ts'
import { Children, type ZnodeRef } from './children.ts'
import { hashWith, PathTable, SEED, type NumberedPaths } from './path-table.ts'
import { readZnode, recordBytes, type ZnodeRecord } from './znode-record.ts'
import type { Znode } from './znode.ts'

const SLASH = 0x2f
const MAX_ASCII = 0x7f
/** In place of where a record lies: it was taken. */
const TAKEN = -1
/** For how many there is room at first. */
const FIRST_ROOM = 1024
/** A few milliseconds' work. */
const INDEXED_AT_ONCE = 32_768

/** Records that were read together, and lie together. */
interface Part {
  /** The number of the first; those of the others follow. */
  readonly first: number
  bytes: Buffer
  /** How many of them are those of records that were not taken. */
  usedBytes: number
  /** Paths of those that were taken, while they are in the tree. */
  readonly paths: (string | undefined)[]
}

/**
 * The znodes of a snapshot, as its bytes, until somebody asks for them. To make the strings, objects and entries of maps of a million
 * takes seconds, and most are never asked for.
 *
 * They are numbered in the order of the snapshot, so each is followed by all that is below it. A number stays that of its
 * znode while this is in the tree, also once it was taken out of here. Only paths of ASCII characters are held, because
 * their bytes are their characters.
 */
export class LazyZnodes implements NumberedPaths {
  readonly #parts: Part[] = []
  #count = 0
  #size = 0
  /** Whether records may still come. */
  #isOpen = true
  /** By number: where the record begins in its part. */
  #offsets = int32s(FIRST_ROOM)
  /** The number behind all that is below it; 0 as long as this is not known. */
  #ends = int32s(FIRST_ROOM)
  /** How many children have a number and are in the tree. */
  #childCounts = int32s(FIRST_ROOM)
  /** Hashes of the paths, until they are in the table. */
  #hashes = int32s(FIRST_ROOM)
  #table: PathTable | undefined
  /** Those that the next record may be below: the last one, and all above it. */
  readonly #above: number[] = []
  readonly #reader = new JuteReader(Buffer.alloc(0))

  /** How many there are that nobody has asked for. */
  get size(): number {
    return this.#size
  }

  /** Takes the record that follows the last one; its bytes must stay as they are. Returns its number; -1: not one for here. */
  append(record: ZnodeRecord): number {
    const { bytes, pathStart, pathLength } = record
    let parentLength = pathLength - 1
    while (parentLength >= 0 && bytes[pathStart + parentLength] !== SLASH) parentLength--
    // The root has no parent, and comes first.
    const isRoot = pathLength === 0 && this.#count === 0
    const depth = isRoot ? 0 : this.#depthBelow(bytes, pathStart, parentLength)
    if (depth === -1) return -1
    let hash = isRoot ? SEED : this.#hashes[this.#above[depth - 1]!]!
    for (let i = Math.max(0, parentLength); i < pathLength; i++) {
      const code = bytes[pathStart + i]!
      if (code > MAX_ASCII) return -1
      hash = hashWith(hash, code)
    }
    this.#leave(depth)
    if (this.#count === this.#offsets.length) this.#grow()
    const part = this.#partFor(bytes)
    const number = this.#count++
    part.usedBytes += record.end - record.start
    this.#offsets[number] = record.start
    this.#hashes[number] = hash
    if (depth > 0) this.#childCounts[this.#above[depth - 1]!]!++
    this.#above.push(number)
    this.#size++
    return number
  }

  /** No record follows. Goes on each time after a moment's work. Throws `ProtocolError` where a path comes twice. */
  *end(): Generator<void> {
    this.#leave(0)
    this.#isOpen = false
    const last = this.#parts.at(-1)
    if (last !== undefined) this.#shrink(last)
    const table = new PathTable(this, this.#count)
    for (let number = 0; number < this.#count; number++) {
      if (!table.add(number, this.#hashes[number]!))
        throw new ProtocolError(`${this.pathOf(number)} comes twice`)
      if (number % INDEXED_AT_ONCE === 0) yield
    }
    this.#table = table
    this.#hashes = int32s(0)
  }

  /** The number of a znode with that path, taken or not, if it has one and is in the tree; else -1. Not before the end. */
  find(path: string): number {
    return this.#table === undefined ? -1 : this.#table.find(path)
  }

  /** Whether it was not taken yet. */
  holds(number: number): boolean {
    return this.#offsets[number] !== TAKEN
  }

  /** A znode that is held, as an object that nobody else has. */
  read(number: number, acls: AclCache): readonly [path: string, znode: Znode] {
    this.#reader.reset(this.#partOf(number).bytes, this.#offsets[number])
    const read = readZnode(this.#reader, acls)
    const children = this.childrenOf(number)
    if (children !== undefined) read[1].children = children
    return read
  }

  /** What stands in the snapshot of one that is held. */
  recordOf(number: number): Buffer {
    const { bytes } = this.#partOf(number)
    const start = this.#offsets[number]!
    return bytes.subarray(start, start + recordBytes(bytes, start))
  }

  /** As `read`; from now on it is the caller's. */
  take(number: number, acls: AclCache): readonly [path: string, znode: Znode] {
    const taken = this.read(number, acls)
    const part = this.#partOf(number)
    part.usedBytes -= recordBytes(part.bytes, this.#offsets[number]!)
    part.paths[number - part.first] = taken[0]
    this.#offsets[number] = TAKEN
    this.#size--
    this.#shrink(part)
    return taken
  }

  /** The path, taken or not; `undefined`: it is no longer in the tree. */
  pathOf(number: number): string | undefined {
    const part = this.#partOf(number)
    if (!this.holds(number)) return part.paths[number - part.first]
    const start = this.#offsets[number]!
    return pathAt(part.bytes, start + 4, part.bytes.readInt32BE(start))
  }

  /** One that was taken is in the tree no more. Returns whether it had a number. */
  remove(path: string, parent: number): boolean {
    const number = this.find(path)
    if (number === -1) return false
    const part = this.#partOf(number)
    part.paths[number - part.first] = undefined
    this.#childCounts[parent]!--
    return true
  }

  /** `undefined` where nothing stood below it in the snapshot, as far as that was read. */
  childrenOf(number: number): Children | undefined {
    return this.#ends[number] === number + 1 ? undefined : new Children(this, number)
  }

  /** How many of the children have a number, and are in the tree. */
  childCount(number: number): number {
    return this.#childCounts[number]!
  }

  /** Those: their numbers, or the paths of those that were taken. One of them may be taken, or removed, meanwhile. */
  *children(parent: number): Generator<ZnodeRef> {
    const end = this.#endOf(parent)
    let gone = -1
    for (let n = parent + 1; n < end && this.#childCounts[parent]! > 0; n = this.#endOf(n)) {
      const child = this.holds(n) ? n : this.pathOf(n)
      if (child !== undefined) {
        gone = -1
        yield child
      } else if (gone === -1) gone = n
      // So that who comes next passes over all in a row that are gone at once.
      else this.#ends[gone] = this.#endOf(n)
    }
  }

  hasPath(number: number, path: string): boolean {
    const part = this.#partOf(number)
    if (!this.holds(number)) return part.paths[number - part.first] === path
    const start = this.#offsets[number]!
    const { length } = path
    if (part.bytes.readInt32BE(start) !== length) return false
    for (let i = 0; i < length; i++) if (part.bytes[start + 4 + i] !== path.charCodeAt(i)) return false
    return true
  }

  haveSamePath(number: number, other: number): boolean {
    return this.pathOf(number) === this.pathOf(other)
  }

  #endOf(number: number): number {
    const end = this.#ends[number]!
    return end === 0 ? this.#count : end
  }

  /** How deep that is of which the parent has that path; -1: it does not come in order. */
  #depthBelow(bytes: Buffer, start: number, length: number): number {
    let depth = this.#above.length
    while (depth > 0 && !this.#hasBytes(this.#above[depth - 1]!, bytes, start, length)) depth--
    return depth === 0 ? -1 : depth
  }

  /** Nothing more comes below those that are deeper. */
  #leave(depth: number): void {
    while (this.#above.length > depth) this.#ends[this.#above.pop()!] = this.#count
  }

  #hasBytes(number: number, bytes: Buffer, start: number, length: number): boolean {
    const part = this.#partOf(number)
    if (!this.holds(number)) return part.paths[number - part.first] === pathAt(bytes, start, length)
    const itsStart = this.#offsets[number]!
    if (part.bytes.readInt32BE(itsStart) !== length) return false
    for (let i = 0; i < length; i++) if (part.bytes[itsStart + 4 + i] !== bytes[start + i]) return false
    return true
  }

  /** That of the next number: records that lie in the same memory are of one. */
  #partFor(bytes: Buffer): Part {
    const last = this.#parts.at(-1)
    if (last?.bytes === bytes) return last
    const part = { first: this.#count, bytes, usedBytes: 0, paths: [] }
    this.#parts.push(part)
    if (last !== undefined) this.#shrink(last)
    return part
  }

  #partOf(number: number): Part {
    let low = 0
    let high = this.#parts.length - 1
    if (this.#parts[high]!.first <= number) return this.#parts[high]!
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.#parts[middle]!.first <= number) low = middle
      else high = middle - 1
    }
    return this.#parts[low]!
  }

  /**
   * Gives back memory, once more than half of it is not used. What remains is shared as that of `DataMemory` is, and for the
   * same reason.
   */
  #shrink(part: Part): void {
    if (part.usedBytes * 2 >= part.bytes.length || (this.#isOpen && part === this.#parts.at(-1))) return
    const next = this.#parts[this.#parts.indexOf(part) + 1]
    const bytes = Buffer.from(new SharedArrayBuffer(part.usedBytes))
    let end = 0
    for (let number = part.first; number < (next?.first ?? this.#count); number++) {
      if (!this.holds(number)) continue
      const start = this.#offsets[number]!
      const length = recordBytes(part.bytes, start)
      bytes.set(part.bytes.subarray(start, start + length), end)
      this.#offsets[number] = end
      end += length
    }
    part.bytes = bytes
  }

  /** Makes room for twice as many. */
  #grow(): void {
    this.#offsets = longer(this.#offsets)
    this.#ends = longer(this.#ends)
    this.#childCounts = longer(this.#childCounts)
    this.#hashes = longer(this.#hashes)
  }
}

/** As a string; the root's is empty there. */
function pathAt(bytes: Buffer, start: number, length: number): string {
  return length === 0 ? '/' : bytes.toString('latin1', start, start + length)
}

function int32s(length: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(length * 4))
}

function longer(values: Int32Array): Int32Array {
  const copy = int32s(values.length * 2)
  copy.set(values)
  return copy
}
