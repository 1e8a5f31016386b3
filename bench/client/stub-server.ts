/**
 * A server that answers at once from pre-encoded replies, so that what is measured against it is the client. It
 * understands no paths: each opcode has one answer. Prints its port as one line, ends with its standard input.
 */
import { createServer, type Socket } from 'node:net'
import {
  ConnectResponse,
  Create2Response,
  FrameDecoder,
  GetChildren2Response,
  GetDataResponse,
  JuteWriter,
  OpCode,
  ReplyHeader,
  StatResponse,
  type Codec,
  type Stat,
} from '@conclave/protocol'

const stat: Stat = {
  czxid: 0x1_0000_0001n,
  mzxid: 0x1_0000_0002n,
  ctime: 1_700_000_000_000,
  mtime: 1_700_000_000_001,
  version: 1,
  cversion: 0,
  aversion: 0,
  ephemeralOwner: 0n,
  dataLength: 1024,
  numChildren: 0,
  pzxid: 0x1_0000_0001n,
}

const ZXID = 0x1_0000_0003n

/** A whole frame; its xid is at offset 4. */
function frame<T>(codec: Codec<T>, record: T): Buffer {
  const writer = new JuteWriter()
  writer.int32(0)
  ReplyHeader.write(writer, { xid: 0, zxid: ZXID, errorCode: 0 })
  codec.write(writer, record)
  writer.patchInt32(0, writer.length - 4)
  return writer.copy()
}

const empty: Codec<void> = { write: () => {}, read: () => undefined }

function replies(dataBytes: number): Map<number, Buffer> {
  const done = frame(empty, undefined)
  const data = Buffer.alloc(dataBytes, 'x')
  return new Map([
    [OpCode.getData, frame(GetDataResponse, { data, stat: { ...stat, dataLength: dataBytes } })],
    [OpCode.exists, frame(StatResponse, { stat })],
    [OpCode.setData, frame(StatResponse, { stat })],
    [OpCode.getChildren2, frame(GetChildren2Response, { children: ['a', 'b', 'c'], stat })],
    // The C binding makes its znodes with the create that has no stat in its answer.
    [
      OpCode.create,
      frame({ write: (w, path: string) => w.string(path), read: r => r.string() }, '/bench/made'),
    ],
    [OpCode.create2, frame(Create2Response, { path: '/bench/made', stat })],
    [OpCode.delete, done],
    [OpCode.ping, done],
    [OpCode.closeSession, done],
  ])
}

function connectReply(hasReadOnly: boolean): Buffer {
  const writer = new JuteWriter()
  writer.int32(0)
  ConnectResponse.write(writer, {
    protocolVersion: 0,
    timeoutMs: 30_000,
    sessionId: 0x1234n,
    password: new Uint8Array(16),
    readOnly: hasReadOnly ? false : undefined,
  })
  writer.patchInt32(0, writer.length - 4)
  return writer.copy()
}

/** The largest request that leaves out the trailing byte has this many bytes. */
const OLD_CONNECT_REQUEST_BYTES = 44

function serve(socket: Socket, byOpCode: Map<number, Buffer>): void {
  const decoder = new FrameDecoder()
  let greeted = false
  socket.setNoDelay(true)
  socket.on('error', () => {})
  const xids: number[] = []
  const replies: Buffer[] = []
  socket.on('data', (chunk: Buffer) => {
    let bytes = 0
    decoder.push(chunk, (buffer, start, end) => {
      if (!greeted) {
        greeted = true
        socket.write(connectReply(end - start > OLD_CONNECT_REQUEST_BYTES))
        return
      }
      const reply = byOpCode.get(buffer.readInt32BE(start + 4))
      if (reply === undefined) return
      xids.push(buffer.readInt32BE(start))
      replies.push(reply)
      bytes += reply.length
    })
    if (bytes === 0) return
    const out = Buffer.allocUnsafeSlow(bytes)
    let at = 0
    for (let i = 0; i < replies.length; i++) {
      const reply = replies[i]!
      reply.copy(out, at)
      out.writeInt32BE(xids[i]!, at + 4)
      at += reply.length
    }
    xids.length = replies.length = 0
    socket.write(out)
  })
}

const byOpCode = replies(Number(process.argv[2] ?? 1024))
const server = createServer(socket => serve(socket, byOpCode))
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.stdout.write(`${typeof address === 'object' && address !== null ? address.port : 0}\n`)
})
process.stdin.on('end', () => process.exit(0)).resume()
