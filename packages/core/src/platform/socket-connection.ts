import type { Socket } from 'node:net'
import { isSecure, peerIdentityOf } from './peer-identity.ts'
import type { Connection, ConnectionHandler, Endpoint, PeerIdentity } from '../network.ts'

/** A connection over a socket of Node.js, plain or with TLS. */
export class SocketConnection implements Connection {
  readonly #socket: Socket
  readonly #remote: Endpoint | undefined
  readonly #connectedEvent: 'connect' | 'secureConnect'

  /** `remote` for an outgoing connection; an accepted one asks its socket. */
  constructor(socket: Socket, remote?: Endpoint, connectedEvent: 'connect' | 'secureConnect' = 'connect') {
    this.#socket = socket
    this.#remote = remote
    this.#connectedEvent = connectedEvent
    // Until `start`, a failure is kept by the socket and told as a close without a reason.
    socket.on('error', () => {})
  }

  get remote(): Endpoint {
    return this.#remote ?? { host: this.#socket.remoteAddress ?? '', port: this.#socket.remotePort ?? 0 }
  }

  get isSecure(): boolean {
    return isSecure(this.#socket)
  }

  get peer(): PeerIdentity | undefined {
    return peerIdentityOf(this.#socket)
  }

  start(handler: ConnectionHandler): void {
    const socket = this.#socket
    let failure: Error | undefined
    socket.on('error', error => (failure = error))
    if (handler.onConnect !== undefined) socket.once(this.#connectedEvent, () => handler.onConnect?.())
    if (handler.onDrain !== undefined) socket.on('drain', () => handler.onDrain?.())
    socket.once('close', () => handler.onClose(failure))
    socket.on('data', bytes => handler.onData(bytes))
  }

  write(bytes: Uint8Array): boolean {
    return this.#socket.write(bytes)
  }

  /** TLS encrypts later, from the memory that it was given. */
  get heldBytes(): number | undefined {
    return this.isSecure ? undefined : this.#socket.writableLength
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
