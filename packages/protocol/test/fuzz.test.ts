import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  ConnectRequest,
  ConnectResponse,
  JuteReader,
  ProtocolError,
  ReplyHeader,
  RequestHeader,
  WatcherEvent,
  type Codec,
} from '@conclave/protocol'
import { annotated, operations } from './conversation.ts'

const codecs: [string, Codec<unknown>][] = [
  ['ConnectRequest', ConnectRequest],
  ['ConnectResponse', ConnectResponse],
  ['RequestHeader', RequestHeader],
  ['ReplyHeader', ReplyHeader],
  ['WatcherEvent', WatcherEvent],
  ...[...operations.values()].flatMap(({ name, request, response }): [string, Codec<unknown>][] => [
    [`${name} request`, request],
    [`${name} response`, response],
  ]),
]

/** Reading ends in a value or in a `ProtocolError`; anything else surfaces. */
function readOrRefuse(codec: Codec<unknown>, bytes: Buffer): void {
  try {
    codec.read(new JuteReader(bytes))
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError)
  }
}

describe('hostile bytes', () => {
  test.each(codecs)('%s - any bytes are read or refused', (_, codec) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), bytes => readOrRefuse(codec, Buffer.from(bytes))),
      { numRuns: 200 },
    )
  })

  const samples = [...annotated()].flatMap(({ bytes, meaning }) => {
    if (meaning.kind === 'request') return [{ codec: meaning.operation.request, body: bytes.subarray(12) }]
    if (meaning.kind === 'reply') return [{ codec: meaning.operation.response, body: bytes.subarray(20) }]
    return []
  })

  test('real records - cut short anywhere they are read or refused', () => {
    for (const { codec, body } of samples) {
      for (let length = 0; length < body.length; length++)
        readOrRefuse(codec, Buffer.from(body.subarray(0, length)))
    }
  })

  test('real records - with any four bytes replaced they are read or refused', () => {
    const word = fc.constantFrom(-1, -2, 0, 1, 0x7fff_ffff, -0x8000_0000, 0xffff)
    fc.assert(
      fc.property(fc.constantFrom(...samples), fc.nat(), word, ({ codec, body }, at, value) => {
        if (body.length < 4) return
        const bytes = Buffer.from(body)
        bytes.writeInt32BE(value, at % (bytes.length - 3))
        readOrRefuse(codec, bytes)
      }),
      { numRuns: 3000 },
    )
  })
})
