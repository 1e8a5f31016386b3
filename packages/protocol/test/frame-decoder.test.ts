import { describe, expect, test } from 'vitest'
import { DEFAULT_MAX_FRAME_BYTES, FrameDecoder, ProtocolError } from '@conclave/protocol'

const frame = (body: string): Buffer => {
  const bytes = Buffer.alloc(4 + body.length)
  bytes.writeInt32BE(body.length)
  bytes.write(body, 4)
  return bytes
}

function collect(decoder: FrameDecoder, chunk: Buffer): string[] {
  const out: string[] = []
  decoder.push(chunk, (buffer, start, end) => void out.push(buffer.toString('utf8', start, end)))
  return out
}

describe('frame decoder', () => {
  test('empty frame - it is a frame', () => {
    expect(collect(new FrameDecoder(), Buffer.concat([frame(''), frame('a'), frame('')]))).toEqual([
      '',
      'a',
      '',
    ])
  })

  test.each([1, 2, 3, 4, 5, 6])('cut - after %i bytes nothing is lost', at => {
    const decoder = new FrameDecoder()
    const stream = Buffer.concat([frame('abc'), frame('de')])
    expect([...collect(decoder, stream.subarray(0, at)), ...collect(decoder, stream.subarray(at))]).toEqual([
      'abc',
      'de',
    ])
  })

  test('limit - a frame of the limit passes, one byte more and a negative length do not', () => {
    const length = (value: number): Buffer => {
      const bytes = Buffer.alloc(4)
      bytes.writeInt32BE(value)
      return bytes
    }
    expect(collect(new FrameDecoder(3), frame('abc'))).toEqual(['abc'])
    expect(() => collect(new FrameDecoder(3), length(4))).toThrow(ProtocolError)
    expect(() => collect(new FrameDecoder(), length(DEFAULT_MAX_FRAME_BYTES + 1))).toThrow(ProtocolError)
    expect(() => collect(new FrameDecoder(), length(-1))).toThrow(ProtocolError)
    const late = new FrameDecoder(3)
    collect(late, length(4).subarray(0, 3))
    expect(() => collect(late, length(4).subarray(3))).toThrow(ProtocolError)
  })

  test('stop - after the callback said so nothing more comes of that chunk', () => {
    const seen: number[] = []
    new FrameDecoder().push(Buffer.concat([frame('a'), frame('b')]), (_, start) => {
      seen.push(start)
      return false
    })
    expect(seen).toEqual([4])
  })

  test('memory - a frame that came whole is not copied', () => {
    const chunk = frame('abc')
    new FrameDecoder().push(chunk, buffer => expect(buffer).toBe(chunk))
    expect.assertions(1)
  })
})
