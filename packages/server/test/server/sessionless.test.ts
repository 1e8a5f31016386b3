import { ConnectRequest, JuteWriter, OpCode, ping, RequestHeader } from '@conclave/protocol'
import {
  eventually,
  fourLetterWord,
  inMemoryServer,
  RawSession,
  type InMemoryServer,
} from '@conclave/testing'
import { connect } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'

/** The handshake of a new session, or of one that is not there. */
function handshake(sessionId: bigint): Buffer {
  const writer = new JuteWriter()
  writer.int32(0)
  ConnectRequest.write(writer, {
    protocolVersion: 0,
    lastZxidSeen: 0n,
    timeoutMs: 40_000,
    sessionId,
    password: Buffer.alloc(16),
    readOnly: false,
  })
  writer.patchInt32(0, writer.length - 4)
  return writer.copy()
}

function goodbye(): Buffer {
  const writer = new JuteWriter()
  writer.int32(8)
  RequestHeader.write(writer, { xid: 1, opCode: OpCode.closeSession })
  return writer.copy()
}

/** What clients say that have no session then: nothing, or not all; a word; who they were; that they go. */
const SAID = {
  nothing: Buffer.alloc(0),
  'half a word': Buffer.from('ru'),
  'a word': Buffer.from('ruok'),
  'half a handshake': handshake(0n).subarray(0, 20),
  'the handshake of a session that is not there': handshake(77n),
  'the last request of a session': Buffer.concat([handshake(0n), goodbye()]),
}

/** Without the one that asks. */
async function connectionCount({ endpoint }: InMemoryServer): Promise<number> {
  return Number(/zk_num_alive_connections\t(\d+)/.exec(await fourLetterWord(endpoint, 'mntr'))![1]) - 1
}

test.each(Object.entries(SAID))(
  'connection - after %s it has no session, and is ended when that lasts, whether or not its client goes',
  async (_what, bytes) => {
    await using server = await inMemoryServer({ sessionlessTimeoutMs: 5_000 })
    await using session = await RawSession.connect(server.endpoint, { timeoutMs: 40_000 })
    server.stopClock()
    const socket = connect({ ...server.endpoint, allowHalfOpen: true })
    onTestFinished(() => void socket.destroy())
    socket.on('error', () => {})
    socket.resume()
    await new Promise<void>(resolve => socket.write(bytes, () => resolve()))
    await eventually(async () => (await connectionCount(server)) === 2)
    await server.advance(4_999)
    expect(await connectionCount(server)).toBe(2)
    await server.advance(2_001)
    await eventually(async () => (await connectionCount(server)) === 1)
    expect((await session.call(ping, undefined)).errorCode).toBe(0)
  },
)
