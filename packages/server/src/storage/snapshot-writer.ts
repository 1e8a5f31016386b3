import { basename } from 'node:path'
import {
  AclList,
  DIGEST_VERSION,
  FILE_VERSION,
  FileHeader,
  JuteWriter,
  SNAPSHOT_MAGIC,
  ZxidDigest,
} from '@conclave/protocol'
import type { ServerState } from '../state/server-state.ts'
import { adler32 } from './checksum/adler32.ts'
import { openSink } from './compression/open-form.ts'
import type { SnapshotForm } from './compression/snapshot-form.ts'
import type { SnapshotSink } from './compression/snapshot-sink.ts'
import type { DataFolder, ZxidFile } from './data-folder.ts'

/** How much is encoded before the loop gets its turn: well below a millisecond's work. */
const SLICE_BYTES = 64 << 10
/** How many are passed over before it does. */
const SLICE_ZNODES = 4096

/** What is written front to back with a running checksum, before it is compressed. */
class CheckedFile {
  readonly writer = new JuteWriter(SLICE_BYTES * 2)
  readonly #sink: SnapshotSink
  #checksum = 1
  #summed = 0

  constructor(sink: SnapshotSink) {
    this.#sink = sink
  }

  #sum(): void {
    this.#checksum = adler32(this.writer.buffer, this.#summed, this.writer.length, this.#checksum)
    this.#summed = this.writer.length
  }

  async flush(): Promise<void> {
    this.#sum()
    await this.#sink.write(this.writer.view())
    this.writer.reset()
    this.#summed = 0
  }

  /** The checksum over everything so far, and a mark. (Apache's `SnapStream.sealStream`) */
  seal(): void {
    this.#sum()
    this.writer.safeInt64(this.#checksum)
    this.writer.string('/')
  }

  async end(): Promise<void> {
    await this.flush()
    await this.#sink.end()
  }
}

/** A snapshot that was written. */
export interface WrittenSnapshot extends ZxidFile {
  /** The last transaction that it may know of. */
  readonly lastZxid: number
  /** Whether the tree did not change meanwhile, so that no log is needed. */
  readonly isExact: boolean
}

/** How a snapshot is to be written. */
export interface WriteOptions {
  readonly form: SnapshotForm
  /** Resolves when everything applied so far is in the log on disk: a snapshot must not know of more. */
  readonly isDurable: () => Promise<void>
}

/**
 * Writes a snapshot of the state while the state goes on changing, slice by slice: each znode is as it was at some
 * moment in between, and the transactions since `lastZxid` at the beginning, applied again, make good the difference.
 * Resolves to the file; the log must be kept from the zxid that its name has.
 */
export async function writeSnapshot(
  folder: DataFolder,
  state: ServerState,
  { form, isDurable }: WriteOptions,
): Promise<WrittenSnapshot> {
  const zxid = state.lastZxid
  const path = folder.snapshotPath(zxid, form)
  const temporary = folder.temporaryPath(path)
  const file = await folder.disk.open(temporary, 'create-or-open')
  let lastZxid: number
  try {
    await file.truncate(0)
    const out = new CheckedFile(await openSink(file, form))
    writeHead(out.writer, state)
    const lastAclId = state.tree.acls.lastId
    let skipped = 0
    for (const ref of state.tree.refs('/', zxid)) {
      // What is newer than the snapshot is in the log. An access list that the head does not have was given since, and will
      // be again by the log.
      if (state.tree.writeRecord(out.writer, ref, zxid, lastAclId)) {
        // Not before: a znode that is deleted meanwhile has no data any more.
        if (out.writer.length >= SLICE_BYTES) await out.flush()
      } else if (++skipped % SLICE_ZNODES === 0) await new Promise(resolve => setImmediate(resolve))
    }
    out.writer.string('/')
    out.seal()
    lastZxid = state.lastZxid
    const digest = { zxid: lastZxid, version: DIGEST_VERSION, digest: state.tree.digest.value }
    ZxidDigest.write(out.writer, digest)
    out.seal()
    // Of which all is here; Apache's servers since 3.9 write it, and need it where there is no name.
    out.writer.safeInt64(zxid)
    out.seal()
    await out.end()
    await isDurable()
    await file.sync()
  } finally {
    await file.close()
  }
  await folder.disk.rename(temporary, path)
  await folder.disk.syncFolder(folder.versionPath)
  return { name: basename(path), path, zxid, lastZxid, isExact: lastZxid === zxid }
}

function writeHead(writer: JuteWriter, state: ServerState): void {
  FileHeader.write(writer, { magic: SNAPSHOT_MAGIC, version: FILE_VERSION, dbId: -1n })
  const { sessions } = state.sessions
  writer.int32(sessions.size)
  for (const { id, timeoutMs } of sessions.values()) {
    writer.int64(id)
    writer.int32(timeoutMs)
  }
  writer.int32(state.tree.acls.size)
  for (const { id, acl } of state.tree.acls.entries()) {
    writer.safeInt64(id)
    AclList.write(writer, acl)
  }
}
