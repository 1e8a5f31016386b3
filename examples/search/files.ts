import { opendir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Batch } from './tasks.ts'

/** A file to search. */
export interface InputFile {
  /** Relative to the folder that was searched. */
  readonly path: string
  readonly sizeBytes: number
}

/** Larger files are programs and data, not documents. */
const MAX_FILE_BYTES = 4_000_000

/** Enough work that handing it out costs nothing beside it, and little enough to spread evenly. */
const MAX_BATCH_BYTES = 1_000_000
const MAX_BATCH_FILES = 200

/** Every file below `folder`, sorted by path, without hidden files and folders and without following links. */
export async function collectFiles(folder: string, signal?: AbortSignal): Promise<InputFile[]> {
  const files: InputFile[] = []
  const folders = ['']
  for (let relative = folders.pop(); relative !== undefined; relative = folders.pop()) {
    signal?.throwIfAborted()
    const found: string[] = []
    for await (const entry of await opendir(join(folder, relative))) {
      if (entry.name.startsWith('.')) continue
      const path = relative === '' ? entry.name : `${relative}/${entry.name}`
      if (entry.isDirectory()) folders.push(path)
      else if (entry.isFile()) found.push(path)
    }
    const sizes = await Promise.all(found.map(async path => (await stat(join(folder, path))).size))
    found.forEach((path, index) => files.push({ path, sizeBytes: sizes[index]! }))
  }
  return files
    .filter(({ sizeBytes }) => sizeBytes > 0 && sizeBytes <= MAX_FILE_BYTES)
    .sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** Cuts the files into batches of about the same number of bytes: one task each. */
export function toBatches(folder: string, files: readonly InputFile[], terms: readonly string[]): Batch[] {
  const batches: Batch[] = []
  let paths: string[] = []
  let bytes = 0
  const finish = (): void => {
    if (paths.length > 0) batches.push({ folder, paths, terms })
    paths = []
    bytes = 0
  }
  for (const { path, sizeBytes } of files) {
    if (bytes + sizeBytes > MAX_BATCH_BYTES || paths.length === MAX_BATCH_FILES) finish()
    paths.push(path)
    bytes += sizeBytes
  }
  finish()
  return batches
}
