import { mkdir, open, readdir, rename, rm, stat, statfs, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Disk, DiskFile } from '../disk.ts'
import { codeOf } from '../errors.ts'
import { BlockingFile } from './blocking-file.ts'

class HandleFile implements DiskFile {
  readonly #handle: FileHandle

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  get descriptor(): number {
    return this.#handle.fd
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    let written = 0
    while (written < bytes.length) {
      const { bytesWritten } = await this.#handle.write(
        bytes,
        written,
        bytes.length - written,
        position + written,
      )
      written += bytesWritten
    }
  }

  writeSync(bytes: Uint8Array, position: number): void {
    new BlockingFile(this.#handle.fd).write(bytes, position)
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    let total = 0
    while (total < into.length) {
      const { bytesRead } = await this.#handle.read(into, total, into.length - total, position + total)
      if (bytesRead === 0) break
      total += bytesRead
    }
    return total
  }

  sync(): Promise<void> {
    return this.#handle.datasync()
  }

  truncate(lengthBytes: number): Promise<void> {
    return this.#handle.truncate(lengthBytes)
  }

  async sizeBytes(): Promise<number> {
    return (await this.#handle.stat()).size
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

const FLAGS = { create: 'wx+', existing: 'r+', 'create-or-open': 'a+' } as const

/** Level by level: `mkdir` with `recursive` never ends where a file system says ENOENT to every folder, as /proc does. */
async function makeFolder(path: string): Promise<void> {
  if (await isFolder(path)) return
  const parent = dirname(path)
  if (parent !== path) await makeFolder(parent)
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    // Another process may have been faster.
    if (codeOf(error) !== 'EEXIST' || !(await isFolder(path))) throw error
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}

/** The platform's own file system. */
export const nodeDisk: Disk = {
  async open(path, mode) {
    if (mode !== 'create-or-open') return new HandleFile(await open(path, FLAGS[mode], 0o600))
    // 'a+' would ignore positions on write, so the file is made first and then opened like any other.
    await (await open(path, FLAGS[mode], 0o600)).close()
    return new HandleFile(await open(path, FLAGS.existing))
  },
  list: folder => readdir(folder),
  makeFolder,
  rename: (from, to) => rename(from, to),
  remove: path => rm(path),
  async syncFolder(path) {
    const handle = await open(path, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  },
  async freeBytes(path) {
    const { bavail, bsize } = await statfs(path)
    return bavail * bsize
  },
}
