import {
  ConnectRequest,
  create,
  getData,
  JuteWriter,
  OpCode,
  Permission,
  RequestHeader,
} from '@conclave/protocol'
import { EmbeddedServerProcess, eventually, leakGuard, RawSession } from '@conclave/testing'
import { execFileSync } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'

let assertClean: () => Promise<void>
let server: EmbeddedServerProcess
/** Somebody else, who must notice nothing. */
let bystander: RawSession

beforeAll(async () => {
  assertClean = leakGuard()
  server = await EmbeddedServerProcess.start()
})

beforeEach(async () => {
  bystander = await RawSession.connect(server.endpoint)
  return async () => {
    await expectServing('the test')
    await bystander.close()
  }
})

afterAll(async () => {
  expect(server.process.isRunning).toBe(true)
  await server.close()
  await assertClean()
})

/** The bystander's session goes on as if nothing had happened. */
async function expectServing(after: string): Promise<void> {
  const { errorCode } = await bystander.request(OpCode.ping)
  expect(errorCode, `a ping after ${after}`).toBe(0)
}

/** Sends bytes on a new connection, then waits until the server ends it. Gives what it answered. */
async function exchange(bytes: Uint8Array, then: (socket: Socket) => void = () => {}): Promise<Buffer> {
  const socket = connect(server.endpoint)
  const answers: Buffer[] = []
  socket.on('error', () => {})
  socket.on('data', chunk => answers.push(chunk))
  socket.write(bytes)
  then(socket)
  await eventually(() => socket.destroyed, { what: 'the server to end the connection' })
  return Buffer.concat(answers)
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

test.for([
  { what: 'a negative length', bytes: int32(-1) },
  { what: 'the least length', bytes: int32(-0x8000_0000) },
  { what: 'a length beyond the limit', bytes: int32(0x7fff_ffff) },
  { what: 'an HTTP request', bytes: Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n') },
  { what: 'a TLS greeting', bytes: Buffer.from('16030100c8010000c40303', 'hex') },
  { what: 'an empty frame', bytes: int32(0) },
  { what: 'a handshake that is cut short', bytes: Buffer.concat([int32(4), int32(0)]) },
])('hostile bytes - $what ends the connection without an answer', async ({ bytes }) => {
  expect(await exchange(bytes)).toHaveLength(0)
})

test('hostile bytes - half a handshake and then the end is no trouble', async () => {
  const half = Buffer.concat([int32(45), Buffer.alloc(20)])
  expect(await exchange(half, socket => socket.end())).toHaveLength(0)
})

test("hostile bytes - an impossible length ends an open session's connection", async () => {
  const session = await RawSession.connect(server.endpoint)
  session.sendBytes(int32(0x7fff_ffff))
  await session.ended
})

test('hostile bytes - requests of random bytes hurt nobody else, whatever the operation', async () => {
  const operations = [...Object.values(OpCode), 0, 99, 1_000, -100]
  // A fixed generator, so that a failure comes again.
  let state = 12_345
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
    return (state >> 8) % below
  }
  for (const opCode of operations) {
    for (let round = 0; round < 5; round++) {
      const session = await RawSession.connect(server.endpoint)
      const body = Buffer.from(Array.from({ length: random(60) }, () => random(256)))
      // An error, or the end of the connection: either will do, as long as it ends there.
      await session.request(opCode, writer => writer.raw(body)).catch(() => {})
      await expectServing(`operation ${opCode} with ${body.toString('hex')}`)
      await session.close()
    }
  }
})

test('hostile bytes - who asks for much and reads nothing costs the server no memory', async () => {
  const data = Buffer.alloc(1_000_000, 'x')
  const acl = [{ perms: Permission.all, scheme: 'world', id: 'anyone' }]
  await bystander.call(create, { path: '/large', data, acl, flags: 0 })
  const socket = connect(server.endpoint)
  socket.on('error', () => {})
  socket.pause()
  const writer = new JuteWriter()
  const frame = (write: () => void): void => {
    const start = writer.length
    writer.int32(0)
    write()
    writer.patchInt32(start, writer.length - start - 4)
  }
  frame(() =>
    ConnectRequest.write(writer, {
      protocolVersion: 0,
      lastZxidSeen: 0n,
      timeoutMs: 10_000,
      sessionId: 0n,
      password: Buffer.alloc(16),
      readOnly: false,
    }),
  )
  for (let xid = 1; xid <= 2_000; xid++) {
    frame(() => {
      RequestHeader.write(writer, { xid, opCode: OpCode.getData })
      getData.request.write(writer, { path: '/large', watch: false })
    })
  }
  await new Promise<void>(resolve => socket.write(writer.copy(), () => resolve()))
  // All of it would be 2 GB; what was read of the requests by now is answered, or waits.
  for (let round = 0; round < 200; round++) await expectServing('the flood')
  expect(residentBytes(server.pid)).toBeLessThan(500_000_000)
  socket.destroy()
})

/** The memory that a process holds. */
function residentBytes(pid: number): number {
  return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) * 1024
}
