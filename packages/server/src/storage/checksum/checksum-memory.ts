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

/** There is none where the process may not make machine code (`node --jitless`). */
const wasm = (globalThis as { WebAssembly?: Wasm }).WebAssembly
let module: object | undefined

/** Memory whose Adler-32 is taken where it lies, several times as fast as JavaScript can take that of other memory. */
export class ChecksumMemory {
  /** For another thread, to make its own `ChecksumMemory` of. */
  readonly memory: WasmMemory
  readonly bytes: Buffer
  readonly #exports: Exports | undefined

  constructor(memory: WasmMemory) {
    this.memory = memory
    this.bytes = Buffer.from(memory.buffer)
    if (wasm === undefined) return
    module ??= new wasm.Module(Buffer.from(ADLER32_CODE, 'base64'))
    this.#exports = new wasm.Instance(module, { '': { memory } }).exports
  }

  /** At least so many bytes; not none. */
  static allocate(bytes: number): ChecksumMemory {
    const pages = Math.ceil(bytes / PAGE_BYTES)
    return new ChecksumMemory(
      wasm === undefined
        ? { buffer: new SharedArrayBuffer(pages * PAGE_BYTES) }
        : new wasm.Memory({ initial: pages, maximum: pages, shared: true }),
    )
  }

  /** Of the bytes from `start` to before `end`, continued from `seed`. */
  adler32(start: number, end: number, seed: number = 1): number {
    if (this.#exports === undefined) return adler32(this.bytes, start, end, seed)
    return this.#exports.adler32(start, end, seed) >>> 0
  }
}
