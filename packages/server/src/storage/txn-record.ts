import {
  DIGEST_VERSION,
  readTxn,
  TXN_END,
  TxnHeader,
  writeTxn,
  type JuteReader,
  type JuteWriter,
  type Txn,
} from '@conclave/protocol'
import type { TreeDigest } from '../state/tree-digest.ts'
import { adler32 } from './checksum/adler32.ts'
import { RECORD_HEAD_BYTES, RECORD_TAIL_BYTES } from './record-frame.ts'

/** Nothing that is written is as large: a request is at most `jute.maxbuffer`, and a multi little more. */
const MAX_RECORD_BYTES = 0x1000_0000
const DIGEST_BYTES = 12
/** Behind the session id and the cxid. */
const ZXID_OFFSET = 12

/** One record of the transaction log. */
export interface TxnRecord {
  readonly header: TxnHeader
  readonly txn: Txn
  /** The digest of the tree after it, where the log has it. */
  readonly digest: { readonly high: number; readonly low: number } | undefined
  /** Where the batch that it was written in begins: all before was on disk. 0 in logs of Apache ZooKeeper. */
  readonly batchStart: number
}

/**
 * Appends a record as Apache ZooKeeper writes it, and after its fields, where Apache's readers do not look, where its
 * batch begins: a batch is written only when the one before it is on disk, so whoever finds this record knows that all
 * before `batchStart` was acknowledged. Its checksum is left to `sealRecords`.
 */
export function writeRecord(
  writer: JuteWriter,
  header: TxnHeader,
  txn: Txn,
  digest: TreeDigest,
  batchStart: number,
): void {
  const start = writer.length
  writer.safeInt64(0)
  writer.int32(0)
  const payloadStart = writer.length
  TxnHeader.write(writer, header)
  writeTxn(writer, txn)
  writer.int32(DIGEST_VERSION)
  writer.int32(digest.high)
  writer.int32(digest.low | 0)
  writer.safeInt64(batchStart)
  const payloadEnd = writer.length
  writer.byte(TXN_END)
  writer.patchInt32(start + 8, payloadEnd - payloadStart)
}

/** What lies at an offset: a whole record and its length, nothing (zeros, or the end), too few bytes, or garbage. */
export type RecordProbe = number | 'empty' | 'incomplete' | 'invalid'

/**
 * Looks at what begins at `buffer[start]`, where `end` is the end of what was read. A number is the length of the whole
 * record, whose checksum is right.
 */
export function probeRecord(buffer: Buffer, start: number, end: number): RecordProbe {
  if (end - start < RECORD_HEAD_BYTES) return 'incomplete'
  const length = buffer.readInt32BE(start + 8)
  if (length === 0) return 'empty'
  if (length < 0 || length > MAX_RECORD_BYTES || buffer.readInt32BE(start) !== 0) return 'invalid'
  const payloadEnd = start + RECORD_HEAD_BYTES + length
  if (payloadEnd + RECORD_TAIL_BYTES > end) return 'incomplete'
  if (buffer[payloadEnd] !== TXN_END) return 'invalid'
  const checksum = buffer.readUInt32BE(start + 4)
  if (adler32(buffer, start + RECORD_HEAD_BYTES, payloadEnd) !== checksum) return 'invalid'
  return payloadEnd + RECORD_TAIL_BYTES - start
}

/** The zxid of a record that `probeRecord` found whole, without decoding the rest. */
export function zxidOfRecord(buffer: Buffer, start: number): number {
  const at = start + RECORD_HEAD_BYTES + ZXID_OFFSET
  return buffer.readInt32BE(at) * 0x1_0000_0000 + buffer.readUInt32BE(at + 4)
}

/**
 * Decodes a record that `probeRecord` found whole, with a reader that is there for it. Throws `ProtocolError`. Data are views
 * of the buffer.
 */
export function readRecord(reader: JuteReader, buffer: Buffer, start: number, length: number): TxnRecord {
  reader.reset(buffer, start + RECORD_HEAD_BYTES, start + length - RECORD_TAIL_BYTES)
  const header = TxnHeader.read(reader)
  const txn = readTxn(reader, header.type)
  if (reader.remaining < DIGEST_BYTES) return { header, txn, digest: undefined, batchStart: 0 }
  const version = reader.int32()
  const high = reader.int32()
  const low = reader.int32() >>> 0
  const digest = version === DIGEST_VERSION ? { high, low } : undefined
  return { header, txn, digest, batchStart: reader.remaining >= 8 ? reader.safeInt64() : 0 }
}
