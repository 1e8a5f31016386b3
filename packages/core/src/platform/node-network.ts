import { lookup } from 'node:dns/promises'
import { createServer, connect as connectSocket, isIP, type AddressInfo, type Socket } from 'node:net'
import {
  ListenError,
  type Connection,
  type ConnectionHandler,
  type Endpoint,
  type Listener,
  type Network,
} from '../network.ts'

class SocketConnection implements Connection {
  readonly #socket: Socket
  readonly #remote: Endpoint | undefined

  /** `remote` for an outgoing connection; an accepted one asks its socket. */
  constructor(socket: Socket, remote?: Endpoint) {
    this.#socket = socket
    this.#remote = remote
    // Until `start`, a failure is kept by the socket and told as a close without a reason.
    socket.on('error', () => {})
  }

  get remote(): Endpoint {
    return this.#remote ?? { host: this.#socket.remoteAddress ?? '', port: this.#socket.remotePort ?? 0 }
  }

  start(handler: ConnectionHandler): void {
    const socket = this.#socket
    let failure: Error | undefined
    socket.on('error', error => (failure = error))
    if (handler.onConnect !== undefined) socket.once('connect', () => handler.onConnect?.())
    if (handler.onDrain !== undefined) socket.on('drain', () => handler.onDrain?.())
    socket.once('close', () => handler.onClose(failure))
    socket.on('data', bytes => handler.onData(bytes))
  }

  write(bytes: Uint8Array): boolean {
    return this.#socket.write(bytes)
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  end(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }
}

/** Plain TCP of the platform, without Nagle's delay: whoever writes here has gathered what belongs together. */
export const nodeNetwork: Network = {
  connect({ host, port }) {
    return new SocketConnection(connectSocket({ host, port, noDelay: true }), { host, port })
  },

  listen({ host, port }, onConnection) {
    return new Promise<Listener>((resolve, reject) => {
      const server = createServer({ noDelay: true }, socket => onConnection(new SocketConnection(socket)))
      const refuse = (error: Error): void => reject(new ListenError({ host, port }, error))
      server.once('error', refuse)
      server.listen({ host, port, backlog: 4096 }, () => {
        server.off('error', refuse)
        const address = server.address() as AddressInfo
        resolve({
          endpoint: { host: address.address, port: address.port },
          close: () => new Promise(closed => server.close(() => closed())),
        })
      })
    })
  },

  async lookup(host) {
    if (isIP(host) !== 0) return [host]
    const found = await lookup(host, { all: true })
    return found.map(({ address }) => address)
  },
}
