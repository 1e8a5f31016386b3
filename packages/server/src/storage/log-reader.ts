import { codeOf, messageOf, type Disk, type DiskFile } from '@conclave/core'
import { FILE_VERSION, FileHeader, JuteReader, LOG_MAGIC } from '@conclave/protocol'
import { asidePath, type ZxidFile } from './data-folder.ts'
import { CorruptDataError } from './storage-errors.ts'
import { RECORD_HEAD_BYTES } from './record-frame.ts'
import { probeRecord, readRecord, zxidOfRecord, type TxnRecord } from './txn-record.ts'

/** Bytes of a file header; records follow. */
export const LOG_HEADER_BYTES = 16
const WINDOW_BYTES = 1 << 20
const ZEROS = Buffer.alloc(WINDOW_BYTES)

/** How a log ended. */
export interface LogEnd {
  /** Behind the last whole record. */
  readonly endOffset: number
  /** What was written last never reached the disk as a whole: something other than zeros follows. */
  readonly torn: boolean
}

/** Part of a file, in memory, that moves on with its reader. */
class Window {
  readonly #file: DiskFile
  #sizeBytes: number
  buffer: Buffer = Buffer.alloc(0)
  /** Where the buffer begins in the file. */
  base = 0
  /** For the records in it. */
  readonly reader = new JuteReader(this.buffer)

  constructor(file: DiskFile, sizeBytes: number) {
    this.#file = file
    this.#sizeBytes = sizeBytes
  }

  /** Whether the file ends where the buffer does. */
  get atEnd(): boolean {
    return this.base + this.buffer.length >= this.#sizeBytes
  }

  /** Lets the buffer begin at `offset`, and end at least one window later unless the file does. */
  async moveTo(offset: number): Promise<void> {
    const kept = this.buffer.subarray(Math.max(0, offset - this.base))
    const from = offset + kept.length
    const wanted = Math.max(0, Math.min(WINDOW_BYTES, this.#sizeBytes - from))
    // Fresh memory each time: records that were read before may still lie in the old one.
    const next = Buffer.allocUnsafe(kept.length + wanted)
    kept.copy(next)
    const bytes = await this.#file.read(next.subarray(kept.length), from)
    // A server that goes on to the next file cuts off what was preallocated, also while it is read here.
    if (bytes < wanted) this.#sizeBytes = from + bytes
    this.buffer = next.subarray(0, kept.length + bytes)
    this.base = offset
  }
}

/**
 * Reads a log from its beginning, calling back for each record with a zxid after `after`, in order. It ends at the first place without a whole
 * record. In the last log it is seen whether that is all: where a record that was acknowledged must have stood there,
 * it throws `CorruptDataError` with the offset. (Behind any other log, the zxid that the next begins with shows it.)
 */
export async function readLog(
  disk: Disk,
  file: ZxidFile,
  onRecord: (record: TxnRecord, offset: number) => void,
  { isLast, after = -1 }: { readonly isLast: boolean; readonly after?: number },
): Promise<LogEnd> {
  const handle = await openLog(disk, file)
  try {
    const window = new Window(handle, await handle.sizeBytes())
    await window.moveTo(0)
    if (!checkHeader(window, file)) return { endOffset: 0, torn: window.buffer.length > 0 }
    const endOffset = await readRecords(window, file, { from: LOG_HEADER_BYTES, after }, onRecord)
    return { endOffset, torn: isLast && (await isTorn(window, file, endOffset)) }
  } finally {
    await handle.close()
  }
}

/**
 * Reads a log that is being written, from `offset` (0 at first) as far as there are whole records, and resolves to where
 * to go on later.
 */
export async function readLogFrom(
  disk: Disk,
  file: ZxidFile,
  offset: number,
  onRecord: (record: TxnRecord, offset: number) => void,
): Promise<number> {
  const handle = await openLog(disk, file)
  try {
    const window = new Window(handle, await handle.sizeBytes())
    await window.moveTo(offset)
    if (offset === 0 && !checkHeader(window, file)) return 0
    return await readRecords(window, file, { from: Math.max(offset, LOG_HEADER_BYTES), after: -1 }, onRecord)
  } finally {
    await handle.close()
  }
}

/** Logs are removed several at a time: whoever began to read them finds those that are to come where they wait for it. */
async function openLog(disk: Disk, file: ZxidFile): Promise<DiskFile> {
  try {
    return await disk.open(file.path, 'existing')
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    return disk.open(asidePath(file), 'existing').catch(() => {
      throw error
    })
  }
}

/** The record that a log begins with; `undefined` where there is none, or it is larger than what is read at a time. */
export async function readFirstRecord(disk: Disk, file: ZxidFile): Promise<TxnRecord | undefined> {
  const handle = await openLog(disk, file)
  try {
    const window = new Window(handle, await handle.sizeBytes())
    await window.moveTo(0)
    if (!checkHeader(window, file)) return undefined
    const probe = probeRecord(window.buffer, LOG_HEADER_BYTES, window.buffer.length)
    return typeof probe === 'number' ? decode(window, file, LOG_HEADER_BYTES, probe) : undefined
  } finally {
    await handle.close()
  }
}

/** `false` where the file ends, or is zeros, before a header: it was made, and nothing in it acknowledged. */
function checkHeader(window: Window, file: ZxidFile): boolean {
  const { buffer } = window
  if (buffer.length < LOG_HEADER_BYTES || buffer.subarray(0, LOG_HEADER_BYTES).every(byte => byte === 0))
    return false
  const { magic, version } = FileHeader.read(new JuteReader(buffer, 0, LOG_HEADER_BYTES))
  if (magic !== LOG_MAGIC) throw new CorruptDataError(file.path, 0, 'it does not begin with ZKLG')
  if (version !== FILE_VERSION) throw new CorruptDataError(file.path, 4, `version ${version} is not known`)
  return true
}

async function readRecords(
  window: Window,
  file: ZxidFile,
  { from, after }: { readonly from: number; readonly after: number },
  onRecord: (record: TxnRecord, offset: number) => void,
): Promise<number> {
  let offset = from
  for (;;) {
    const probe = probeRecord(window.buffer, offset - window.base, window.buffer.length)
    if (typeof probe === 'number') {
      if (zxidOfRecord(window.buffer, offset - window.base) > after) {
        onRecord(decode(window, file, offset, probe), offset)
      }
      offset += probe
    } else if (probe === 'incomplete' && !window.atEnd) await window.moveTo(offset)
    else return offset
  }
}

function decode(window: Window, file: ZxidFile, offset: number, length: number): TxnRecord {
  try {
    return readRecord(window.reader, window.buffer, offset - window.base, length)
  } catch (error) {
    throw new CorruptDataError(file.path, offset, `its checksum is right but ${messageOf(error)}`)
  }
}

/**
 * Whether anything but zeros is found behind the end. A record found there whole, whose batch began behind the end,
 * proves that what is missing at the end was acknowledged.
 */
async function isTorn(window: Window, file: ZxidFile, endOffset: number): Promise<boolean> {
  let torn = false
  await window.moveTo(endOffset)
  for (;;) {
    const { buffer, base } = window
    let next = base + buffer.length
    if (!isZero(buffer)) {
      torn = true
      for (let at = base === endOffset ? 1 : 0; at < buffer.length; at++) {
        const found = acknowledges(window, at, endOffset)
        if (found === true)
          throw new CorruptDataError(file.path, endOffset, 'an acknowledged record is damaged')
        if (found === 'incomplete' && !window.atEnd) {
          next = base + at
          break
        }
      }
    }
    if (window.atEnd) return torn
    await window.moveTo(next)
  }
}

/** A record begins with the four zeros above its checksum, and then has a length, so few places are worth a look. */
function acknowledges({ buffer, reader }: Window, at: number, endOffset: number): boolean | 'incomplete' {
  if (buffer[at] !== 0 || buffer[at + 1] !== 0 || buffer[at + 2] !== 0 || buffer[at + 3] !== 0) {
    return buffer.length - at < RECORD_HEAD_BYTES && buffer[at] === 0 ? 'incomplete' : false
  }
  const probe = probeRecord(buffer, at, buffer.length)
  if (probe === 'incomplete') return probe
  if (typeof probe !== 'number') return false
  try {
    return readRecord(reader, buffer, at, probe).batchStart > endOffset
  } catch {
    return false
  }
}

function isZero(buffer: Buffer): boolean {
  for (let at = 0; at < buffer.length; at += WINDOW_BYTES) {
    const part = buffer.subarray(at, at + WINDOW_BYTES)
    if (!part.equals(ZEROS.subarray(0, part.length))) return false
  }
  return true
}
