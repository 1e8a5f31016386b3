import type { Endpoint } from '@conclave/core'
import { eventually, FaultProxy, leakGuard } from '@conclave/testing'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'

/** One end of a connection, with all that happened to it. */
class Peer {
  readonly socket: Socket
  received = ''
  hasEnded = false
  isClosed = false
  error: string | undefined

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', chunk => (this.received += chunk.toString()))
    socket.on('end', () => (this.hasEnded = true))
    socket.on('error', error => (this.error = (error as NodeJS.ErrnoException).code))
    socket.on('close', () => (this.isClosed = true))
  }

  receives(text: string): Promise<boolean> {
    return eventually(() => this.received === text, { what: `${JSON.stringify(text)} to arrive` })
  }
}

let assertClean: () => Promise<void>
let server: Server
let accepted: Peer[]
let clients: Peer[]
let proxy: FaultProxy

beforeEach(async () => {
  assertClean = leakGuard()
  accepted = []
  clients = []
  server = createServer({ allowHalfOpen: true }, socket => accepted.push(new Peer(socket)))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const target: Endpoint = { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
  proxy = await FaultProxy.start(target)
})

afterEach(async () => {
  await proxy.close()
  for (const { socket } of [...accepted, ...clients]) socket.destroy()
  await new Promise(resolve => server.close(resolve))
  await assertClean()
})

function dial(): Peer {
  const client = new Peer(connect({ ...proxy.endpoint, allowHalfOpen: true }))
  clients.push(client)
  return client
}

/** A client and the server's end of its connection. */
async function link(): Promise<{ client: Peer; peer: Peer }> {
  const count = accepted.length
  const client = dial()
  const peer = await eventually(() => accepted[count])
  return { client, peer }
}

test('FaultProxy - passes bytes both ways and counts them', async () => {
  const { client, peer } = await link()
  client.socket.write('to the server')
  await peer.receives('to the server')
  peer.socket.write('back')
  await client.receives('back')
  expect(proxy.passedBytes('toServer')).toBe(13)
  expect(proxy.passedBytes('toClient')).toBe(4)
  expect(proxy.connections).toBe(1)
})

test('FaultProxy - passes on the end of a stream and the end of a connection', async () => {
  const { client, peer } = await link()
  client.socket.end('bye')
  await eventually(() => peer.hasEnded)
  expect(peer.received).toBe('bye')
  peer.socket.end()
  await eventually(() => client.isClosed && peer.isClosed && proxy.connections === 0)
  expect(client.error).toBeUndefined()
})

test('FaultProxy - passes on a reset', async () => {
  const { client, peer } = await link()
  peer.socket.resetAndDestroy()
  await eventually(() => client.isClosed)
  expect(client.error).toBe('ECONNRESET')
})

test('FaultProxy - cut breaks what there is and serves what comes', async () => {
  const { client, peer } = await link()
  proxy.cut()
  await eventually(() => client.isClosed && peer.isClosed)
  expect(client.error).toBe('ECONNRESET')
  const next = await link()
  next.client.socket.write('again')
  await next.peer.receives('again')
})

test.for([0, 1, 4, 9])(
  'FaultProxy - cutAfter lets exactly %i bytes pass, over writes of any size',
  async bytes => {
    const { client, peer } = await link()
    proxy.cutAfter('toServer', bytes)
    client.socket.write('abc')
    if (bytes > 3) await peer.receives('abc')
    client.socket.write('defghijkl')
    // A reset that arrives together with data is an ordinary end to Node.js.
    await eventually(() => client.isClosed && (peer.isClosed || peer.hasEnded))
    expect(peer.received).toBe('abcdefghijkl'.slice(0, bytes))
    expect(proxy.passedBytes('toServer')).toBe(bytes)
  },
)

test('FaultProxy - after calls back at exactly that byte, before any other passes', async () => {
  const { client, peer } = await link()
  proxy.after('toServer', 5, () => proxy.hold('toServer'))
  client.socket.write('abcdefgh')
  client.socket.end('ij')
  await peer.receives('abcde')
  await eventually(() => client.socket.writableFinished)
  expect(proxy.passedBytes('toServer')).toBe(5)
  expect(proxy.accepted).toBe(1)
  proxy.heal()
  await peer.receives('abcdefghij')
  await eventually(() => peer.hasEnded)
})

test('FaultProxy - after holds what it stops, and delays it where that is what it does', async () => {
  const { client, peer } = await link()
  proxy.after('toServer', 1, () => proxy.delay(30, 'toServer'))
  const startMs = performance.now()
  client.socket.write('abc')
  await peer.receives('abc')
  // Timers may be early by less than a millisecond.
  expect(performance.now() - startMs).toBeGreaterThan(29)
})

test('FaultProxy - hold stops bytes and ends, one way or both, until heal', async () => {
  const { client, peer } = await link()
  proxy.hold('toClient')
  peer.socket.end('held')
  client.socket.write('passes')
  await peer.receives('passes')
  proxy.hold()
  client.socket.end(' and is held')
  await eventually(() => client.socket.writableFinished)
  expect(client.received).toBe('')
  expect(client.hasEnded).toBe(false)
  proxy.heal()
  await peer.receives('passes and is held')
  await client.receives('held')
  await eventually(() => client.hasEnded && peer.hasEnded)
})

test('FaultProxy - a side that dies while held is told of after heal', async () => {
  const { client, peer } = await link()
  proxy.hold()
  peer.socket.resetAndDestroy()
  const other = dial()
  await eventually(() => other.socket.readyState === 'open')
  expect(client.isClosed).toBe(false)
  proxy.heal()
  await eventually(() => client.isClosed)
})

test('FaultProxy - refuse breaks new connections and leaves the others', async () => {
  const { client, peer } = await link()
  proxy.refuse()
  const refused = dial()
  await eventually(() => refused.isClosed)
  client.socket.write('still here')
  await peer.receives('still here')
  proxy.heal()
  await link()
})

test('FaultProxy - delay keeps the order and takes its time', async () => {
  const { client, peer } = await link()
  proxy.delay(30, 'toServer')
  const startMs = performance.now()
  client.socket.write('slow')
  await peer.receives('slow')
  // Timers may be early by less than a millisecond.
  expect(performance.now() - startMs).toBeGreaterThan(29)
  proxy.delay(0)
  for (const letter of 'abc') client.socket.write(letter)
  await peer.receives('slowabc')
})

test('FaultProxy - halfClose ends one direction only', async () => {
  const { client, peer } = await link()
  proxy.halfClose('toClient')
  await eventually(() => client.hasEnded)
  client.socket.write('one way')
  await peer.receives('one way')
})

test('FaultProxy - a server that is not there is a reset', async () => {
  const nowhere = await FaultProxy.start({ host: '127.0.0.1', port: 1 })
  const client = new Peer(connect(nowhere.endpoint))
  clients.push(client)
  await eventually(() => client.isClosed)
  await nowhere.close()
})
