import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  ConnectRequest,
  ConnectResponse,
  FrameDecoder,
  JuteReader,
  JuteWriter,
  OpCode,
  ReplyHeader,
  RequestHeader,
  WatcherEvent,
  type Codec,
} from '@conclave/protocol'
import { annotated, conversation, operations, type Meaning } from './conversation.ts'

const empty: Codec<void> = { write: () => {}, read: () => undefined }

/** The header and body of a frame of that meaning. */
function codecsOf(meaning: Meaning): readonly Codec<unknown>[] {
  switch (meaning.kind) {
    case 'connectRequest':
      return [ConnectRequest]
    case 'connectResponse':
      return [ConnectResponse]
    case 'request':
      return [RequestHeader, meaning.operation.request]
    case 'reply':
      return [ReplyHeader, meaning.operation.response]
    case 'event':
      return [ReplyHeader, WatcherEvent]
    case 'bare':
      return [ReplyHeader, empty]
  }
}

describe('conversation of Apache ZooKeeper', () => {
  test('records - every frame is read to its end and written back byte for byte', () => {
    for (const { bytes, meaning } of annotated()) {
      const reader = new JuteReader(bytes, 4)
      const codecs = codecsOf(meaning)
      const records = codecs.map(codec => codec.read(reader))
      reader.finish()
      const writer = new JuteWriter()
      codecs.forEach((codec, i) => codec.write(writer, records[i]))
      expect(writer.copy().toString('hex')).toBe(bytes.subarray(4).toString('hex'))
    }
  })

  test('records - the recording has a request and, where there is one, an answer of every operation', () => {
    const seen = { request: new Set<number>(), reply: new Set<number>() }
    for (const { meaning } of annotated()) {
      if (meaning.kind === 'request' || meaning.kind === 'reply')
        seen[meaning.kind].add(meaning.operation.opCode)
    }
    const unseen = [...operations.keys()].filter(opCode => !seen.request.has(opCode))
    // `check` is only part of a multi.
    expect(unseen).toEqual([OpCode.check])
    expect([...seen.request].filter(opCode => !seen.reply.has(opCode))).toEqual([])
  })

  test('framing - the frames come out the same whole, byte by byte and at random cuts', () => {
    const frames = conversation.map(({ bytes }) => bytes)
    const stream = Buffer.concat(frames)
    const cutAt = (cuts: readonly number[]): string[] => {
      const decoder = new FrameDecoder()
      const out: string[] = []
      let from = 0
      for (const to of [...cuts, stream.length]) {
        decoder.push(stream.subarray(from, to), (buffer, start, end) => {
          out.push(buffer.toString('hex', start, end))
        })
        from = to
      }
      expect(decoder.pendingBytes).toBe(0)
      return out
    }
    const expected = frames.map(bytes => bytes.toString('hex', 4))
    expect(cutAt([])).toEqual(expected)
    expect(cutAt(Array.from({ length: stream.length - 1 }, (_, i) => i + 1))).toEqual(expected)
    const cuts = fc.array(fc.nat(stream.length), { maxLength: 60 })
    fc.assert(
      fc.property(cuts, at => {
        expect(cutAt([...at].sort((a, b) => a - b))).toEqual(expected)
      }),
      { numRuns: 100 },
    )
  })

  test('values - what the recorded program did is what the records say', () => {
    const requests = [...annotated()].flatMap(({ bytes, meaning }) => {
      if (meaning.kind !== 'request') return []
      const reader = new JuteReader(bytes, 12)
      return [{ name: meaning.operation.name, record: meaning.operation.request.read(reader) }]
    })
    const of = (name: string): unknown[] =>
      requests.filter(each => each.name === name).map(({ record }) => record)
    const open = [{ perms: 31, scheme: 'world', id: 'anyone' }]
    expect(of('create')).toMatchObject([
      { path: '/golden', data: Buffer.from('root'), flags: 0, acl: open },
      { path: '/golden/null', data: null, flags: 1 },
      { path: '/golden/seq-', data: Buffer.from([0, 1, 255]), flags: 3 },
      { path: '/golden/ümläut-中', data: Buffer.from('€') },
      { path: '/golden/acl', acl: [{ perms: 31, scheme: 'auth', id: '' }] },
      { path: '/golden/none' },
      { path: '/rec' },
    ])
    expect(of('create2')).toMatchObject([{ path: '/golden/create2', data: Buffer.alloc(0) }])
    expect(of('createContainer')).toMatchObject([{ flags: 4 }])
    expect(of('createTtl')).toMatchObject([{ flags: 5, ttlMs: 123_456_789 }])
    expect(of('addWatch')).toMatchObject([{ mode: 0 }, { mode: 1 }, { mode: 1 }])
    expect(of('setWatches2')).toMatchObject([
      {
        existWatches: ['/golden/later'],
        persistentRecursiveWatches: expect.arrayContaining(['/golden/none']),
      },
    ])
    expect(of('setWatches')).toMatchObject([{ dataWatches: ['/rec'], childWatches: ['/rec'] }])
    expect(of('removeWatches')).toEqual([{ path: '/rec', type: 3 }])
    expect(of('reconfig').at(-1)).toMatchObject({ leavingServers: null, newMembers: null, fromConfig: -1n })
    expect((of('multi')[0] as { ops: { op: string }[] }).ops.map(({ op }) => op)).toEqual([
      'create',
      'setData',
      'check',
      'delete',
      'createContainer',
      'createTtl',
    ])
  })

  test('values - the results of a failed transaction and of a multi-read say what became of each part', () => {
    const replies = [...annotated()].flatMap(({ bytes, meaning }) => {
      if (meaning.kind !== 'reply') return []
      const reader = new JuteReader(bytes, 20)
      return [{ name: meaning.operation.name, record: meaning.operation.response.read(reader) }]
    })
    const of = (name: string): unknown[] =>
      replies.filter(each => each.name === name).map(({ record }) => record)
    expect(of('multi')[1]).toEqual({
      results: [
        { op: 'error', errorCode: 0 },
        { op: 'error', errorCode: -103 },
        { op: 'error', errorCode: -2 },
      ],
    })
    expect(of('multiRead')).toMatchObject([
      {
        results: [
          { op: 'getData', data: Buffer.from('next') },
          { op: 'getChildren' },
          { op: 'error', errorCode: -101 },
        ],
      },
    ])
    expect(of('whoAmI')).toMatchObject([
      { clientInfo: expect.arrayContaining([{ authScheme: 'digest', user: 'user' }]) },
    ])
  })
})
