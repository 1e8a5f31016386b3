import { JuteReader, JuteWriter, OPEN_ACL, OpCode, type Txn } from '@conclave/protocol'
import { expect, test } from 'vitest'
import { TreeDigest } from '../../src/state/tree-digest.ts'
import { adler32 } from '../../src/storage/checksum/adler32.ts'
import { sealRecords } from '../../src/storage/record-frame.ts'
import { probeRecord, readRecord, writeRecord } from '../../src/storage/txn-record.ts'

const SESSION = 0x100006aff970000n

/** Records as Apache ZooKeeper 3.8.0 wrote them. */
const APACHE: readonly (readonly [string, string, number, Txn, bigint | undefined])[] = [
  [
    'createSession',
    '00000000fb5a0bfb000000300100006aff970000000000000000000000000001000001a1fdc8cc4cfffffff600002710000000020000000051c6d66042',
    1,
    { type: OpCode.createSession, timeoutMs: 10_000 },
    0x51c6d660n,
  ],
  [
    'an ephemeral create',
    '0000000034e90dad000000570100006aff970000000000010000000000000002000001a1fdc8cc5400000001000000022f610000000178000000010000001f00000005776f726c6400000006616e796f6e65010000000100000002000000007d1af8a542',
    2,
    {
      type: OpCode.create,
      path: '/a',
      data: Buffer.from('x'),
      acl: OPEN_ACL,
      ephemeral: true,
      parentCversion: 1,
    },
    0x7d1af8a5n,
  ],
  [
    'a multi of setData and check',
    '000000004daf0d41000000580100006aff970000000000020000000000000003000001a1fdc8cc610000000e00000002000000050000000e000000022f61ffffffff000000010000000d0000000a000000022f61000000020000000200000000e93bc65d42',
    3,
    {
      type: OpCode.multi,
      txns: [
        { type: OpCode.setData, path: '/a', data: null, version: 1 },
        { type: OpCode.check, path: '/a', version: 2 },
      ],
    },
    0xe93bc65dn,
  ],
  [
    'a refusal',
    '000000008c5f0d36000000240100006aff970000000000030000000000000004000001a1fdc8cc66ffffffffffffff9b42',
    4,
    { type: OpCode.error, errorCode: -101 },
    undefined,
  ],
]

test.each(APACHE)('log record - %s of Apache ZooKeeper is read', (_, hex, zxid, txn, digest) => {
  const bytes = Buffer.from(hex, 'hex')
  expect(probeRecord(bytes, 0, bytes.length)).toBe(bytes.length)
  const record = readRecord(new JuteReader(bytes), bytes, 0, bytes.length)
  expect(record.header).toMatchObject({ sessionId: SESSION, zxid, type: txn.type })
  expect(record.txn).toEqual(txn)
  expect(record.batchStart).toBe(0)
  expect(record.digest).toEqual(digest === undefined ? undefined : { high: 0, low: Number(digest) })
})

test.each(APACHE)(
  'log record - %s is written as there, with what only this server reads at the end',
  (_, hex, __, txn, digest) => {
    const theirs = Buffer.from(hex, 'hex')
    const { header } = readRecord(new JuteReader(theirs), theirs, 0, theirs.length)
    const tree = new TreeDigest()
    tree.add(Number(digest ?? 0n))
    const writer = new JuteWriter()
    writeRecord(writer, header, txn, tree, 4_711)
    const ours = writer.copy()
    sealRecords(ours, (from, to) => adler32(ours, from, to))
    expect(probeRecord(ours, 0, ours.length)).toBe(ours.length)
    expect(readRecord(new JuteReader(ours), ours, 0, ours.length)).toEqual({
      header,
      txn,
      digest: { high: 0, low: Number(digest ?? 0n) },
      batchStart: 4_711,
    })
    // Apache writes no digest with a refusal; up to there the two are the same.
    const common = theirs.length - 13
    expect(ours.subarray(12, 12 + common)).toEqual(theirs.subarray(12, 12 + common))
  },
)

test('log record - every other kind is read as it was written', () => {
  const txns: Txn[] = [
    { type: OpCode.create2, path: '/a', data: null, acl: OPEN_ACL, ephemeral: false, parentCversion: -1 },
    {
      type: OpCode.createTtl,
      path: '/a',
      data: Buffer.alloc(0),
      acl: [],
      parentCversion: 7,
      ttlMs: 2 ** 40 - 1,
    },
    { type: OpCode.createContainer, path: '/a', data: Buffer.from('é'), acl: OPEN_ACL, parentCversion: 7 },
    { type: OpCode.delete, path: '/é' },
    { type: OpCode.deleteContainer, path: '/a' },
    {
      type: OpCode.setAcl,
      path: '/a',
      acl: [{ perms: 31, scheme: 'ip', id: '::1' }],
      version: -2_147_483_648,
    },
    { type: OpCode.closeSession, paths: [] },
    { type: OpCode.closeSession, paths: ['/a', '/b'] },
    { type: OpCode.multi, txns: [] },
  ]
  const digest = new TreeDigest()
  for (const txn of txns) {
    const writer = new JuteWriter()
    const header = {
      sessionId: -1n,
      cxid: -8,
      zxid: 0x2_0000_0001,
      timeMs: 1_795_255_120_000,
      type: txn.type,
    }
    writeRecord(writer, header, txn, digest, 16)
    const bytes = writer.copy()
    expect(readRecord(new JuteReader(bytes), bytes, 0, bytes.length)).toMatchObject({ header, txn })
  }
})

test('log record - all of a batch get their checksums', () => {
  const writer = new JuteWriter()
  const ends: number[] = []
  for (const bytes of [0, 1, 5_000]) {
    const txn: Txn = { type: OpCode.setData, path: '/a', data: Buffer.alloc(bytes, 1), version: 1 }
    const header = { sessionId: 1n, cxid: 1, zxid: 1, timeMs: 1, type: txn.type }
    writeRecord(writer, header, txn, new TreeDigest(), 16)
    ends.push(writer.length)
  }
  const batch = writer.copy()
  sealRecords(batch, (from, to) => adler32(batch, from, to))
  for (let at = 0, i = 0; at < batch.length; at = ends[i++]!) {
    expect(probeRecord(batch, at, batch.length)).toBe(ends[i]! - at)
  }
})
