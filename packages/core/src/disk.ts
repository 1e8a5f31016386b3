/** One open file. */
export interface DiskFile {
  /** By which the operating system knows it, so that another thread can write to it; not of a file that is simulated. */
  readonly descriptor?: number
  /** Writes all of `bytes` at `position`. */
  write(bytes: Uint8Array, position: number): Promise<void>
  /** Writes all of `bytes` at `position` before it returns: for small writes, where a thread's round trip costs more. */
  writeSync(bytes: Uint8Array, position: number): void
  /** Reads up to `into.length` bytes at `position`; resolves to how many there were. */
  read(into: Uint8Array, position: number): Promise<number>
  /** Resolves when the file's contents, and its size, are on stable storage. */
  sync(): Promise<void>
  truncate(lengthBytes: number): Promise<void>
  sizeBytes(): Promise<number>
  close(): Promise<void>
}

/** The disk as a port, so that a simulation can tear, drop and reorder what was not synced. */
export interface Disk {
  /** Opens for reading and writing. `create`: the file must be new. `existing`: it must be there. */
  open(path: string, mode: 'create' | 'existing' | 'create-or-open'): Promise<DiskFile>
  /** The names in a folder, unsorted; rejects with `ENOENT` where there is none. */
  list(folder: string): Promise<readonly string[]>
  /** Makes a folder, and those above it, where they do not exist. */
  makeFolder(path: string): Promise<void>
  /** Moves a file, in place of one that is there. */
  rename(from: string, to: string): Promise<void>
  /** Removes a file. */
  remove(path: string): Promise<void>
  /** Makes earlier creations, renames and removals in a folder durable. */
  syncFolder(path: string): Promise<void>
  /** How much can still be written in a folder; rejects where the system does not tell. */
  freeBytes(path: string): Promise<number>
}
