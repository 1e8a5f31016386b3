import { JuteReader, ProtocolError } from '@conclave/protocol'
import type { AclCache } from './acl-cache.ts'
import { Children, type ZnodeRef } from './children.ts'
import { EMPTY_HASH, hashWith, PathTable, type NumberedPaths } from './path-table.ts'
import { dataLengthAt, readZnode, recordBytes, type ZnodeRecord } from './znode-record.ts'
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
interface Chunk {
  readonly index: number
  /** The number of the first; those of the others follow. */
  readonly first: number
  bytes: Buffer
  /** How many of them are those of records that were not taken. */
  usedBytes: number
  /** By number, from the first: paths of those that were taken while they are in the tree, and others that were asked for. */
  paths: (string | undefined)[] | undefined
}

/** A znode that the next record may be below. */
interface Above {
  readonly number: number
  /** Of the path, in bytes. */
  readonly length: number
  readonly isAscii: boolean
}

/**
 * The znodes of a snapshot, as its bytes, until somebody asks for them. To make the strings, objects and entries of maps of
 * a million takes seconds, and most are never asked for.
 *
 * They are numbered in the order of the snapshot, so each is followed by all that is below it. A number stays that of its
 * znode while this is in the tree, also once it was taken out of here.
 */
export class LazyZnodes implements NumberedPaths {
  readonly #chunks: Chunk[] = []
  #count = 0
  #size = 0
  #dataBytes = 0
  /** By number: where the record begins in its chunk. */
  #offsets: Int32Array = new Int32Array(FIRST_ROOM)
  /**
   * The number behind all that is below it, 0 as long as this is not known. Of one that is gone: a number up to which all that
   * follow it are gone, too.
   */
  #ends: Int32Array = new Int32Array(FIRST_ROOM)
  /** How many children have a number and are in the tree. */
  #childCounts: Int32Array = new Int32Array(FIRST_ROOM)
  /** Hashes of the paths, until they are in the table. */
  #hashes: Int32Array = new Int32Array(FIRST_ROOM)
  #table: PathTable | undefined
  /** The last one, and all above it: the longer the path, the later. */
  readonly #above: Above[] = []
  readonly #reader = new JuteReader(Buffer.alloc(0))

  /** How many there are that nobody has asked for. */
  get size(): number {
    return this.#size
  }

  /** Characters of their paths, and bytes of their data. */
  get dataBytes(): number {
    return this.#dataBytes
  }

  /**
   * Takes the record that follows the last one; its bytes must stay as they are. Returns its number, which can be asked for
   * after the end; -1: it does not follow the one that it is below, or has a path that is no text.
   */
  append(record: ZnodeRecord): number {
    const { bytes, start, pathStart, pathLength } = record
    let parentLength = pathLength - 1
    while (parentLength >= 0 && bytes[pathStart + parentLength] !== SLASH) parentLength--
    // The root has no parent, and comes first.
    const isRoot = pathLength === 0 && this.#count === 0
    const depth = isRoot ? 0 : this.#depthBelow(bytes, pathStart, parentLength)
    if (depth === -1) return -1
    const parent = isRoot ? undefined : this.#above[depth - 1]!
    // Of the root's slash, which the record does not have, all others have their own.
    let hash = parent === undefined ? hashWith(EMPTY_HASH, SLASH) : EMPTY_HASH
    if (parent !== undefined && parent.length > 0) hash = this.#hashes[parent.number]!
    let bits = 0
    for (let i = Math.max(0, parentLength); i < pathLength; i++) {
      const byte = bytes[pathStart + i]!
      bits |= byte
      hash = hashWith(hash, byte)
    }
    const isAscii = bits <= MAX_ASCII && parent?.isAscii !== false
    const textLength = isAscii ? pathLength : textLengthOf(bytes.subarray(pathStart, pathStart + pathLength))
    if (textLength === -1) return -1
    this.#leave(depth)
    if (this.#count === this.#offsets.length) this.#grow()
    const chunk = this.#chunkOf(bytes)
    const number = this.#count++
    chunk.usedBytes += record.end - start
    this.#dataBytes += Math.max(1, textLength) + record.dataLength
    this.#offsets[number] = start
    this.#hashes[number] = hash
    if (parent !== undefined) this.#childCounts[parent.number]!++
    this.#above.push({ number, length: pathLength, isAscii })
    this.#size++
    return number
  }

  /** No record follows. Goes on each time after a moment's work. Throws `ProtocolError` where a path comes twice. */
  *end(): Generator<void> {
    this.#leave(0)
    const table = new PathTable(this, this.#count)
    for (let number = 0; number < this.#count; number++) {
      if (!table.add(number, this.#hashes[number]!))
        throw new ProtocolError(`${this.pathOf(number)} comes twice`)
      if (number % INDEXED_AT_ONCE === 0) yield
    }
    this.#table = table
    this.#hashes = new Int32Array(0)
    const last = this.#chunks.at(-1)
    if (last !== undefined) this.#shrink(last)
  }

  /** The number of a znode with that path, taken or not, if it has one and is in the tree; else -1. */
  find(path: string): number {
    return this.#table === undefined ? -1 : this.#table.find(path)
  }

  /** Whether it was not taken yet. */
  holds(number: number): boolean {
    return this.#offsets[number] !== TAKEN
  }

  /** A znode that is held, as an object that nobody else has; its data are a view. */
  read(number: number, acls: AclCache): readonly [path: string, znode: Znode] {
    this.#reader.reset(this.#chunkWith(number).bytes, this.#offsets[number])
    const read = readZnode(this.#reader, acls)
    const children = this.childrenOf(number)
    if (children !== undefined) read[1].children = children
    return read
  }

  /** As `read`; from now on it is the caller's. */
  take(number: number, acls: AclCache): readonly [path: string, znode: Znode] {
    const taken = this.read(number, acls)
    const [path, { dataLength }] = taken
    const chunk = this.#chunkWith(number)
    chunk.usedBytes -= recordBytes(chunk.bytes, this.#offsets[number]!)
    this.#pathsOf(chunk)[number - chunk.first] = path
    this.#offsets[number] = TAKEN
    this.#size--
    this.#dataBytes -= path.length + dataLength
    this.#shrink(chunk)
    return taken
  }

  /** What stands in the snapshot of one that is held. */
  recordOf(number: number): Buffer {
    const { bytes } = this.#chunkWith(number)
    const start = this.#offsets[number]!
    return bytes.subarray(start, start + recordBytes(bytes, start))
  }

  /** How long the data of one are that is held. */
  dataLengthOf(number: number): number {
    return dataLengthAt(this.#chunkWith(number).bytes, this.#offsets[number]!)
  }

  /** The path, taken or not; `undefined`: it is no longer in the tree. */
  pathOf(number: number): string | undefined {
    return this.#pathIn(this.#chunkWith(number), number)
  }

  #pathIn(chunk: Chunk, number: number): string | undefined {
    const paths = this.#pathsOf(chunk)
    const known = paths[number - chunk.first]
    if (known !== undefined || !this.holds(number)) return known
    const start = this.#offsets[number]! + 4
    const length = chunk.bytes.readInt32BE(start - 4)
    const path = length === 0 ? '/' : chunk.bytes.toString('utf8', start, start + length)
    return (paths[number - chunk.first] = path)
  }

  /** One that was taken is in the tree no more. */
  remove(path: string): void {
    const number = this.find(path)
    if (number === -1) return
    const chunk = this.#chunkWith(number)
    this.#pathsOf(chunk)[number - chunk.first] = undefined
    const parent = this.find(path.slice(0, path.lastIndexOf('/')) || '/')
    if (parent !== -1) this.#childCounts[parent]!--
  }

  /** `undefined` where nothing stood below it in the snapshot. */
  childrenOf(number: number): Children | undefined {
    return this.#ends[number] === number + 1 ? undefined : new Children(this, number)
  }

  /** How many of the children have a number, and are in the tree. */
  childCount(number: number): number {
    return this.#childCounts[number]!
  }

  /** Those: their numbers, or the paths of those that were taken. One of them may be taken, or removed, meanwhile. */
  *childRefs(parent: number): Generator<ZnodeRef> {
    for (let n = this.#firstChild(parent); n !== -1; n = this.#nextChild(parent, n))
      yield this.holds(n) ? n : this.pathOf(n)!
  }

  /** The paths of all those. */
  childPaths(parent: number): string[] {
    const paths: string[] = []
    let chunk: Chunk | undefined
    let behind = 0
    for (let n = this.#firstChild(parent); n !== -1; n = this.#nextChild(parent, n)) {
      if (chunk === undefined || n >= behind) {
        chunk = this.#chunkWith(n)
        behind = this.#lastOf(chunk)
      }
      paths.push(this.#pathIn(chunk, n)!)
    }
    return paths
  }

  hasPath(number: number, path: string): boolean {
    const chunk = this.#chunkWith(number)
    const start = this.#offsets[number]!
    if (start === TAKEN || chunk.bytes.readInt32BE(start) !== path.length) return this.pathOf(number) === path
    // As many bytes as characters: it is the same path only if these are ASCII.
    for (let i = 0; i < path.length; i++) {
      const code = path.charCodeAt(i)
      if (code !== chunk.bytes[start + 4 + i] || code > MAX_ASCII) return false
    }
    return true
  }

  haveSamePath(number: number, other: number): boolean {
    return this.pathOf(number) === this.pathOf(other)
  }

  #firstChild(parent: number): number {
    return this.#present(parent, parent + 1)
  }

  #nextChild(parent: number, number: number): number {
    return this.#present(parent, this.#ends[number]!)
  }

  /** The first from there on that is a child of it and in the tree; -1: there is none. */
  #present(parent: number, from: number): number {
    const end = this.#ends[parent]!
    let number = from
    while (number < end && !this.holds(number) && this.pathOf(number) === undefined)
      number = this.#ends[number]!
    // So that who comes next passes at once over all in a row that are gone.
    if (number > from) this.#ends[from] = number
    return number < end ? number : -1
  }

  /** How deep that is of which the parent has that path; -1: it does not come in order. */
  #depthBelow(bytes: Buffer, start: number, length: number): number {
    let depth = this.#above.length
    while (depth > 0 && this.#above[depth - 1]!.length > length) depth--
    const parent = this.#above[depth - 1]
    if (parent === undefined || parent.length !== length) return -1
    const chunk = this.#chunkWith(parent.number)
    const itsStart = this.#offsets[parent.number]! + 4
    for (let i = 0; i < length; i++) if (chunk.bytes[itsStart + i] !== bytes[start + i]) return -1
    return depth
  }

  /** Nothing more comes below those that are deeper. */
  #leave(depth: number): void {
    while (this.#above.length > depth) this.#ends[this.#above.pop()!.number] = this.#count
  }

  /** That of the next number: records that lie in the same memory are of one. */
  #chunkOf(bytes: Buffer): Chunk {
    const last = this.#chunks.at(-1)
    if (last?.bytes === bytes) return last
    const index = this.#chunks.length
    const chunk = { index, first: this.#count, bytes, usedBytes: 0, paths: undefined }
    this.#chunks.push(chunk)
    if (last !== undefined) this.#shrink(last)
    return chunk
  }

  #chunkWith(number: number): Chunk {
    let low = 0
    let high = this.#chunks.length - 1
    if (this.#chunks[high]!.first <= number) return this.#chunks[high]!
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.#chunks[middle]!.first <= number) low = middle
      else high = middle - 1
    }
    return this.#chunks[low]!
  }

  /** The number behind those of a chunk. */
  #lastOf({ index }: Chunk): number {
    return this.#chunks[index + 1]?.first ?? this.#count
  }

  #pathsOf(chunk: Chunk): (string | undefined)[] {
    chunk.paths ??= new Array<string | undefined>(this.#lastOf(chunk) - chunk.first).fill(undefined)
    return chunk.paths
  }

  /** Gives back memory, once more than half of it is not used. */
  #shrink(chunk: Chunk): void {
    if (chunk.usedBytes * 2 >= chunk.bytes.length) return
    const bytes = Buffer.allocUnsafeSlow(chunk.usedBytes)
    let end = 0
    for (let number = chunk.first; number < this.#lastOf(chunk); number++) {
      if (!this.holds(number)) continue
      const start = this.#offsets[number]!
      const length = recordBytes(chunk.bytes, start)
      bytes.set(chunk.bytes.subarray(start, start + length), end)
      this.#offsets[number] = end
      end += length
    }
    chunk.bytes = bytes
  }

  /** Makes room for twice as many. */
  #grow(): void {
    this.#offsets = longer(this.#offsets)
    this.#ends = longer(this.#ends)
    this.#childCounts = longer(this.#childCounts)
    this.#hashes = longer(this.#hashes)
  }
}

/** How many characters they are; -1: they are no UTF-8. */
function textLengthOf(bytes: Buffer): number {
  const text = bytes.toString()
  return Buffer.from(text).equals(bytes) ? text.length : -1
}

function longer(values: Int32Array): Int32Array {
  const copy = new Int32Array(values.length * 2)
  copy.set(values)
  return copy
}
