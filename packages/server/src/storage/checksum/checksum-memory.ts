import { adler32 } from './adler32.ts'
import { ADLER32_CODE } from './adler32-code.ts'

/** Memory of WebAssembly's, which threads can share. Node.js's types do not have it. */
export interface WasmMemory {
  readonly buffer: SharedArrayBuffer
}

interface Wasm {
  readonly Memory: new (size: { initial: number; maximum: number; shared: true }) => WasmMemory
  readonly Module: new (code: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: Exports }
}

interface Exports {
  /** The result is signed. */
  adler32(start: number, end: number, seed: number): number
}

const PAGE_BYTES = 64 << 10

interface Program {
  readonly wasm: Wasm
  readonly module: object
}

/** `null`: there is none, as where the process may not make machine code (`node --jitless`). */
let program: Program | null | undefined

/** Compiled when it is first needed. */
function compiled(): Program | null {
  program ??= compile()
  return program
}

function compile(): Program | null {
  const { WebAssembly: wasm } = globalThis as { WebAssembly?: Wasm }
  if (wasm === undefined) return null
  try {
    return { wasm, module: new wasm.Module(Buffer.from(ADLER32_CODE, 'base64')) }
  } catch {
    // A processor without vectors.
    return null
  }
}

/** There is none where addresses are limited (`ulimit -v`): V8 takes ten gigabytes of them for each, whatever its size. */
function allocate(pages: number): WasmMemory {
  const wasm = compiled()?.wasm
  try {
    if (wasm !== undefined) return new wasm.Memory({ initial: pages, maximum: pages, shared: true })
  } catch {
    // Then JavaScript sums.
  }
  return { buffer: new SharedArrayBuffer(pages * PAGE_BYTES) }
}

/** Memory whose Adler-32 is taken where it lies, several times as fast as JavaScript can take that of other memory. */
export class ChecksumMemory {
  /** For another thread, to make its own `ChecksumMemory` of. */
  readonly memory: WasmMemory
  readonly bytes: Buffer
  readonly #exports: Exports | undefined

  constructor(memory: WasmMemory) {
    this.memory = memory
    this.bytes = Buffer.from(memory.buffer)
    const found = compiled()
    if (found === null || !(memory instanceof found.wasm.Memory)) return
    this.#exports = new found.wasm.Instance(found.module, { '': { memory } }).exports
  }

  /** At least so many bytes; not none. */
  static allocate(bytes: number): ChecksumMemory {
    return new ChecksumMemory(allocate(Math.ceil(bytes / PAGE_BYTES)))
  }

  /** Of the bytes from `start` to before `end`, continued from `seed`. */
  adler32(start: number, end: number, seed: number = 1): number {
    if (this.#exports === undefined) return adler32(this.bytes, start, end, seed)
    return this.#exports.adler32(start, end, seed) >>> 0
  }
}

/** How much is copied at a time; V8 copies to and from shared memory by bytes, where their addresses are not alike by the word. */
const COPIED_BYTES = 64 << 10
const WORD_MASK = 7
let scratch: ChecksumMemory | undefined

/**
 * Adler-32 of other memory than a `ChecksumMemory`'s, by way of one: worth the copies where there is much of it. All share
 * that one, because V8 takes gigabytes of addresses for each until it is collected.
 */
export function adler32Of(bytes: Buffer, start: number, end: number, seed: number): number {
  scratch ??= ChecksumMemory.allocate(COPIED_BYTES + WORD_MASK)
  let sum = seed
  for (let from = start; from < end; from += COPIED_BYTES) {
    const to = Math.min(end, from + COPIED_BYTES)
    const at = (bytes.byteOffset + from) & WORD_MASK
    bytes.copy(scratch.bytes, at, from, to)
    sum = scratch.adler32(at, at + to - from, sum)
  }
  return sum
}
