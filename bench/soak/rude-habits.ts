import { create, createModeToFlags, getData, OPEN_ACL, OpCode, sasl, SaslToken } from '@conclave/protocol'
import { eventually, fourLetterWord } from '@conclave/testing'
import { get } from 'node:http'
import { connect as openSocket, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { CONNECT, getDataFrame } from '../server/frames.ts'
import { connect, ROOT, SHORT_MS, type Habit, type Scene, WrongAnswerError } from './scene.ts'

/** As large as requests may be, nearly. */
export const LARGE = `${ROOT}/large`
export const LARGE_BYTES = 1_000_000

const WORDS = ['ruok', 'isro', 'srvr', 'stat', 'cons', 'conf', 'envi', 'dump', 'wchs', 'wchc', 'wchp', 'dirs']
const COMMANDS = ['commands/monitor', 'commands/watches', 'commands/connections', 'commands/dump', 'metrics']

/** Bytes that are no frame, or begin one that never ends. */
const HOSTILE = [
  Buffer.from([0xff, 0xff, 0xff, 0xff]),
  Buffer.from([0x7f, 0xff, 0xff, 0xff, 0, 0]),
  Buffer.from([0, 0, 0, 2, 0, 0]),
  Buffer.from([0, 0, 0, 0]),
  Buffer.from('GET / HTTP/1.1\r\n\r\n'),
]
/** Nothing, a part of a word, of a length, of a frame: what a server waits for the rest of. */
const UNFINISHED = [Buffer.alloc(0), Buffer.from('ru'), Buffer.from([0, 0]), CONNECT.subarray(0, 20)]

function socketTo({ server }: Scene): Socket {
  const socket = openSocket(server.endpoint)
  // However the server ends it.
  socket.on('error', () => {})
  return socket
}

async function whenClosed(socket: Socket): Promise<void> {
  if (!socket.closed) await new Promise(resolve => socket.once('close', resolve))
}

/** What monitors ask. */
export const inquire: Habit = async scene => {
  const { server, turn } = scene
  const text = await fourLetterWord(server.endpoint, WORDS[turn % WORDS.length]!, 60_000)
  if (text === '') throw new WrongAnswerError('a word was not answered')
  const { host, port } = server.adminEndpoint
  const url = `http://${host}:${port}/${COMMANDS[turn % COMMANDS.length]}`
  await new Promise<void>((resolve, reject) => {
    get(url, { agent: false }, response => void buffer(response).then(() => resolve(), reject)).on(
      'error',
      reject,
    )
  })
}

/** A client that asks for much and reads nothing, for a while; every tenth asks for more than a server may keep. */
export const dawdle: Habit = async scene => {
  const isGreedy = scene.turn % 10 === 9
  const socket = socketTo(scene)
  socket.pause()
  socket.write(CONNECT)
  const frame = getDataFrame(LARGE)
  for (let i = 0; i < (isGreedy ? 100 : 10); i++) socket.write(frame)
  await sleep(300)
  if (scene.turn % 2 === 0) {
    socket.resume()
    let received = 0
    socket.on('data', bytes => (received += bytes.length))
    await eventually(() => received >= 10 * LARGE_BYTES || socket.closed, { timeoutMs: 60_000 })
  }
  socket.destroy()
  await whenClosed(socket)
}

/** Connections that the server must end. */
export const attack: Habit = async scene => {
  const bytes = HOSTILE[scene.turn % HOSTILE.length]!
  const socket = socketTo(scene)
  socket.resume()
  socket.write(bytes)
  const session = await connect(scene, { timeoutMs: SHORT_MS })
  session.sendBytes(bytes)
  await Promise.all([whenClosed(socket), session.ended])
}

/** Connections that say nothing, or not all, and stay; requests that are cut short. */
export const idle: Habit = async scene => {
  const sockets = UNFINISHED.map(bytes => {
    const socket = socketTo(scene)
    socket.write(bytes)
    return socket
  })
  await using session = await connect(scene, { timeoutMs: SHORT_MS })
  const flags = createModeToFlags('persistent')
  for (const opCode of [OpCode.create, OpCode.multi, OpCode.setData, 99]) {
    const { errorCode } = await session.request(opCode, writer => writer.int32(99))
    if (errorCode === 0) throw new WrongAnswerError(`a request cut short (${opCode}) was accepted`)
  }
  session.send(writer => writer.int32(1))
  // A request that is never read: the connection goes with it on the way.
  await session
    .call(create, { path: `${ROOT}/never`, data: Buffer.alloc(900_000), acl: OPEN_ACL, flags: flags + 99 })
    .catch(() => {})
  await sleep(500)
  for (const socket of sockets) socket.destroy()
  await Promise.all(sockets.map(whenClosed))
}

/** Proofs of identity that are not completed, or wrong. */
export const pretend: Habit = async scene => {
  await using session = await connect(scene, { timeoutMs: SHORT_MS })
  await session.call(sasl, { token: null })
  if (scene.turn % 2 === 0) return
  await session
    .request(OpCode.sasl, writer => SaslToken.write(writer, { token: Buffer.from('username="soak"') }))
    .catch(() => {})
  await session.ended
}

/** Reads that nobody waits for: their client has gone when they are answered. */
export const runAway: Habit = async scene => {
  await using session = await connect(scene, { timeoutMs: SHORT_MS })
  for (let i = 0; i < 5; i++) void session.call(getData, { path: LARGE, watch: true }).catch(() => {})
}
