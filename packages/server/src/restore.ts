import { UsageError, type DiskFile } from '@conclave/core'
import { ServerState } from './state/server-state.ts'
import { EXTENSIONS, type SnapshotForm } from './storage/compression/snapshot-form.ts'
import { FileSink } from './storage/compression/snapshot-sink.ts'
import type { DataFolder } from './storage/data-folder.ts'
import { readSnapshot } from './storage/snapshot-reader.ts'
import { SMALL_WINDOW_BYTES } from './storage/snapshot-window.ts'
import { writeSnapshot } from './storage/snapshot-writer.ts'
import { CorruptDataError } from './storage/storage-errors.ts'

/** A tree that is to take the place of the present one. */
export interface ReceivedTree {
  readonly state: ServerState
  /** The last transaction that it can know of. */
  readonly lastZxid: number
}

/**
 * Reads a snapshot that somebody sends, compressed or not, by way of a temporary file. Throws `UsageError` for one that is
 * damaged, or cannot be shown to hold the tree as it was at one moment: without its log such a tree never existed.
 */
export async function receiveSnapshot(
  folder: DataFolder,
  parts: AsyncIterable<Uint8Array>,
  tickMs: number,
): Promise<ReceivedTree> {
  const path = folder.temporaryPath(`${folder.versionPath}/received`)
  const file = await folder.disk.open(path, 'create-or-open')
  try {
    await file.truncate(0)
    const sink = new FileSink(file)
    for await (const part of parts) await sink.write(part)
    const state = new ServerState(tickMs)
    const name = `received${EXTENSIONS[await formIn(file)]}`
    const reading = await readSnapshot(folder.disk, { name, path, zxid: 0 }, state, {
      windowBytes: SMALL_WINDOW_BYTES,
    })
    if (reading.isExact) return { state, lastZxid: reading.lastZxid }
    throw new UsageError('the snapshot was taken while the tree changed, or has no digest: it needs its log')
  } catch (error) {
    if (!(error instanceof CorruptDataError)) throw error
    throw new UsageError('what was sent is not a whole snapshot', error)
  } finally {
    await file.close()
    await folder.disk.remove(path)
  }
}

/** The form by what the file begins with: `ZKSN` where it is not compressed. */
async function formIn(file: DiskFile): Promise<SnapshotForm> {
  const start = Buffer.alloc(2)
  await file.read(start, 0)
  const first = start.readUInt16BE(0)
  return first === 0x1f8b ? 'gz' : first === 0x8253 ? 'snappy' : 'none'
}

/**
 * Writes the tree as a snapshot that comes right after the transaction `lastZxid` of the present tree, and after all that it
 * knows of itself: so zxids go on, and never back. It has no sessions and no ephemeral znodes. Once it has its name, a
 * recovery takes it and nothing before; until then, one knows nothing of it. Resolves to its zxid.
 */
export async function replaceTree(
  folder: DataFolder,
  received: ReceivedTree,
  lastZxid: number,
  form: SnapshotForm,
): Promise<number> {
  const { state } = received
  state.lastZxid = Math.max(lastZxid, received.lastZxid) + 1
  for (const id of [...state.sessions.sessions.keys()]) state.sessions.remove(id)
  state.removeOrphans()
  return (await writeSnapshot(folder, state, { form, isDurable: async () => {} })).zxid
}
