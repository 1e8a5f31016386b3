import type { Disk, DiskFile, Random } from '@conclave/core'

/** What a disk writes as a whole or not at all. */
const SECTOR_BYTES = 512

type Change =
  | { readonly kind: 'write'; readonly position: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly lengthBytes: number }

/** The contents of one file: what is on stable storage, and what was written since. */
class Contents {
  /** Its length is the file's; more memory may lie behind it. */
  stable: Buffer = Buffer.alloc(0)
  pending: Change[] = []
  #memory: Buffer = this.stable

  current(): Buffer {
    return this.pending.length === 0 ? this.stable : this.pending.reduce(applied, this.stable)
  }

  /** In place, so that a small write to a large file costs little. */
  sync(): void {
    for (const change of this.pending) {
      const length =
        change.kind === 'truncate'
          ? change.lengthBytes
          : Math.max(this.stable.length, change.position + change.bytes.length)
      this.#resize(length)
      if (change.kind === 'write') change.bytes.copy(this.stable, change.position)
    }
    this.pending = []
  }

  #resize(length: number): void {
    if (length > this.#memory.length || this.stable.buffer !== this.#memory.buffer) {
      this.#memory = Buffer.alloc(Math.max(length, this.#memory.length * 2))
      this.stable.copy(this.#memory)
    } else if (length < this.stable.length) this.#memory.fill(0, length, this.stable.length)
    this.stable = this.#memory.subarray(0, length)
  }
}

function applied(bytes: Buffer, change: Change): Buffer {
  if (change.kind === 'truncate') {
    const next = Buffer.alloc(change.lengthBytes)
    bytes.copy(next)
    return next
  }
  const next = Buffer.alloc(Math.max(bytes.length, change.position + change.bytes.length))
  bytes.copy(next)
  change.bytes.copy(next, change.position)
  return next
}

function error(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}

/**
 * A disk in memory that keeps apart what was synced and what was not. `crash` gives the disk as a power failure may leave
 * it: of what was not synced, any sectors may be there and any not, in any order.
 */
export class SimulatedDisk implements Disk {
  /** Called before each operation that changes something, with its kind and the file's name by then: the moment to `crash`. */
  onOperation: (operation: string) => void = () => {}
  /** When set, every write fails with it (`ENOSPC`, `EIO`). */
  failure: string | undefined
  /** What `freeBytes` tells; nothing is counted. */
  freeSpaceBytes = Infinity
  readonly #files = new Map<string, Contents>()
  /** The names as they are on stable storage. */
  readonly #stableNames = new Map<string, Contents>()
  readonly #folders = new Set<string>()

  open(path: string, mode: 'create' | 'existing' | 'create-or-open'): Promise<DiskFile> {
    return this.#do(`open ${path}`, () => {
      let contents = this.#files.get(path)
      if (contents === undefined) {
        if (mode === 'existing') throw error('ENOENT', path)
        this.#refuseIfFailing(path)
        contents = new Contents()
        this.#files.set(path, contents)
      } else if (mode === 'create') throw error('EEXIST', path)
      return this.#file(path, contents)
    })
  }

  #file(path: string, contents: Contents): DiskFile {
    const name = (): string => this.#nameOf(contents) ?? path
    const change = (operation: string, made: Change): void => {
      this.onOperation(`${operation} ${name()}`)
      this.#refuseIfFailing(path)
      contents.pending.push(made)
    }
    const write = (bytes: Uint8Array, position: number): void =>
      change('write', { kind: 'write', position, bytes: Buffer.from(bytes) })
    return {
      write: (bytes, position) => this.#later(() => write(bytes, position)),
      writeSync: write,
      read: (into, position) =>
        this.#later(() => contents.current().copy(into, 0, Math.min(position, contents.current().length))),
      sync: () =>
        this.#later(() => {
          this.onOperation(`sync ${name()}`)
          this.#refuseIfFailing(path)
          contents.sync()
        }),
      truncate: lengthBytes => this.#later(() => change('truncate', { kind: 'truncate', lengthBytes })),
      sizeBytes: () => this.#later(() => contents.current().length),
      close: () => Promise.resolve(),
    }
  }

  /** What it is called by now. */
  #nameOf(contents: Contents): string | undefined {
    for (const [path, other] of this.#files) if (other === contents) return path
    return undefined
  }

  list(folder: string): Promise<readonly string[]> {
    return this.#later(() => {
      if (!this.#folders.has(folder)) throw error('ENOENT', folder)
      const names = [...this.#files.keys(), ...this.#folders]
        .filter(path => path.startsWith(`${folder}/`))
        .map(path => path.slice(folder.length + 1).split('/', 1)[0]!)
      return [...new Set(names)]
    })
  }

  makeFolder(path: string): Promise<void> {
    return this.#later(() => {
      const parts = path.split('/')
      for (let i = 1; i <= parts.length; i++) this.#folders.add(parts.slice(0, i).join('/'))
    })
  }

  rename(from: string, to: string): Promise<void> {
    return this.#do(`rename ${from}`, () => {
      const contents = this.#files.get(from)
      if (contents === undefined) throw error('ENOENT', from)
      this.#files.delete(from)
      this.#files.set(to, contents)
    })
  }

  remove(path: string): Promise<void> {
    return this.#do(`remove ${path}`, () => {
      if (!this.#files.delete(path)) throw error('ENOENT', path)
    })
  }

  syncFolder(path: string): Promise<void> {
    return this.#do(`sync folder ${path}`, () => {
      const inside = (name: string): boolean => name.startsWith(`${path}/`)
      for (const name of [...this.#stableNames.keys()].filter(inside)) this.#stableNames.delete(name)
      for (const [name, contents] of this.#files) if (inside(name)) this.#stableNames.set(name, contents)
    })
  }

  freeBytes(): Promise<number> {
    return this.#later(() => this.freeSpaceBytes)
  }

  /** The disk as a power failure at this moment may leave it. This one goes on. */
  crash(random: Random): SimulatedDisk {
    const left = new SimulatedDisk()
    for (const folder of this.#folders) left.#folders.add(folder)
    // The names of a folder are kept in a journal: all changes since its sync are there, or none.
    const names = random.float() < 0.5 ? this.#files : this.#stableNames
    for (const [path, contents] of names) {
      const kept = new Contents()
      kept.stable = contents.pending
        .filter(change => (change.kind === 'truncate' ? random.float() < 0.5 : true))
        .reduce<Buffer>((bytes, change) => torn(bytes, change, random), Buffer.from(contents.stable))
      left.#files.set(path, kept)
      left.#stableNames.set(path, kept)
    }
    return left
  }

  /**
   * The disk as a process that is killed at this moment leaves it to the next one: what it has written is there, synced or
   * not. This one goes on.
   */
  kill(): SimulatedDisk {
    const left = new SimulatedDisk()
    const copies = new Map<Contents, Contents>()
    const copyOf = (contents: Contents): Contents => {
      const copy = copies.get(contents) ?? new Contents()
      copies.set(contents, copy)
      copy.stable = Buffer.from(contents.stable)
      copy.pending = [...contents.pending]
      return copy
    }
    for (const folder of this.#folders) left.#folders.add(folder)
    for (const [path, contents] of this.#files) left.#files.set(path, copyOf(contents))
    for (const [path, contents] of this.#stableNames) left.#stableNames.set(path, copyOf(contents))
    return left
  }

  /** The bytes of a file, to look at or to damage. */
  bytes(path: string): Buffer {
    const contents = this.#files.get(path)
    if (contents === undefined) throw error('ENOENT', path)
    contents.sync()
    return contents.stable
  }

  /** Replaces the bytes of a file. */
  put(path: string, bytes: Uint8Array): void {
    const contents = new Contents()
    contents.stable = Buffer.from(bytes)
    this.#files.set(path, contents)
    this.#stableNames.set(path, contents)
  }

  #refuseIfFailing(path: string): void {
    if (this.failure !== undefined) throw error(this.failure, path)
  }

  #do<T>(operation: string, action: () => T): Promise<T> {
    return this.#later(() => {
      this.onOperation(operation)
      return action()
    })
  }

  /** On a real disk everything takes until a later turn. */
  #later<T>(action: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      setImmediate(() => {
        try {
          resolve(action())
        } catch (failure) {
          reject(failure as Error)
        }
      })
    })
  }
}

/** The change as far as it got: each sector of a write for itself. */
function torn(bytes: Buffer, change: Change, random: Random): Buffer {
  if (change.kind === 'truncate') return applied(bytes, change)
  let result = bytes
  for (let start = 0; start < change.bytes.length;) {
    const position = change.position + start
    const end = Math.min(change.bytes.length, start + SECTOR_BYTES - (position % SECTOR_BYTES))
    const sector = change.bytes.subarray(start, end)
    if (random.float() < 0.7) result = applied(result, { kind: 'write', position, bytes: sector })
    start = end
  }
  return result
}
