import {
  nodeNetwork,
  type Connection,
  type ConnectionHandler,
  type Endpoint,
  type Listener,
  type Network,
  type PeerIdentity,
} from '@conclave/core'
import type { Direction } from '../fault-proxy.ts'
import { DelayedQueue } from './delayed-queue.ts'

export interface DelayOptions {
  /** Only what goes this way. Default: both, so that an answer comes later by twice the delay. */
  readonly direction?: Direction
  /** Only for this session, whatever connection it has. Default: for everybody. */
  readonly sessionId?: bigint
}

/** Delays of one direction. */
interface Delays {
  forAllMs: number
  readonly bySession: Map<bigint, number>
}

const DIRECTIONS: readonly Direction[] = ['toServer', 'toClient']

/** Where the id of the session stands in the answer to a handshake: behind length, version and timeout. */
const SESSION_ID_OFFSET = 12
const SESSION_ID_BYTES = 8

/** The network of Node.js, where connections that a server accepts can be slow, and their clients not be heard at all. */
export class SlowNetwork implements Network {
  readonly #connections = new Set<SlowConnection>()
  readonly #delays: Readonly<Record<Direction, Delays>> = {
    toServer: { forAllMs: 0, bySession: new Map() },
    toClient: { forAllMs: 0, bySession: new Map() },
  }
  #isDeaf = false

  /** Sets a delay in place of the one that was. One for everybody ends those of single sessions. */
  delay(delayMs: number, { direction, sessionId }: DelayOptions): void {
    for (const each of direction === undefined ? DIRECTIONS : [direction]) {
      const delays = this.#delays[each]
      if (sessionId !== undefined) delays.bySession.set(sessionId, delayMs)
      else {
        delays.forAllMs = delayMs
        delays.bySession.clear()
      }
    }
    this.#update()
  }

  delayMs(direction: Direction, sessionId: bigint | undefined): number {
    const { forAllMs, bySession } = this.#delays[direction]
    return (sessionId === undefined ? undefined : bySession.get(sessionId)) ?? forAllMs
  }

  /** Whether what clients say now is heard later. */
  get isDeaf(): boolean {
    return this.#isDeaf
  }

  set isDeaf(isDeaf: boolean) {
    this.#isDeaf = isDeaf
    this.#update()
  }

  connect(endpoint: Endpoint): Connection {
    return nodeNetwork.connect(endpoint)
  }

  lookup(host: string): Promise<readonly string[]> {
    return nodeNetwork.lookup(host)
  }

  listen(endpoint: Endpoint, onConnection: (connection: Connection) => void): Promise<Listener> {
    return nodeNetwork.listen(endpoint, accepted => {
      const connection = new SlowConnection(accepted, this, () => this.#connections.delete(connection))
      this.#connections.add(connection)
      onConnection(connection)
    })
  }

  #update(): void {
    for (const connection of [...this.#connections]) connection.update()
  }
}

type Arrival = { readonly bytes: Buffer } | { readonly closed: Error | undefined }

/** The server's end of a connection. */
class SlowConnection implements Connection {
  readonly #inner: Connection
  readonly #onGone: () => void
  readonly #toServer: DelayedQueue<Arrival>
  readonly #toClient: DelayedQueue<Uint8Array | 'end'>
  #handler: ConnectionHandler | undefined
  /** From the answer to the handshake. (In that to a four-letter word something else stands there, which is no session.) */
  #sessionId: bigint | undefined
  #isPaused = false
  /** The client does not read. */
  #isFull = false
  #isDestroyed = false
  #isInnerClosed = false
  /** The server knows. */
  #isOver = false

  constructor(inner: Connection, network: SlowNetwork, onGone: () => void) {
    this.#inner = inner
    this.#onGone = onGone
    this.#toServer = new DelayedQueue<Arrival>(
      {
        delayMs: () => network.delayMs('toServer', this.#sessionId),
        isHeld: () => this.#isPaused || network.isDeaf,
      },
      arrival => this.#onArrival(arrival),
    )
    this.#toClient = new DelayedQueue<Uint8Array | 'end'>(
      {
        delayMs: () => network.delayMs('toClient', this.#sessionId),
        isHeld: () => this.#isFull,
      },
      item => {
        if (item === 'end') this.#inner.end()
        else this.#isFull = !this.#inner.write(item)
      },
    )
  }

  get remote(): Endpoint {
    return this.#inner.remote
  }

  get peer(): PeerIdentity | undefined {
    return this.#inner.peer
  }

  get isSecure(): boolean {
    return this.#inner.isSecure === true
  }

  update(): void {
    this.#toServer.update()
    this.#toClient.update()
  }

  start(handler: ConnectionHandler): void {
    this.#handler = handler
    this.#inner.start({
      onData: bytes => this.#toServer.push({ bytes }),
      onDrain: () => {
        this.#isFull = false
        this.#toClient.update()
        if (!this.#isFull) handler.onDrain?.()
      },
      onClose: error => {
        this.#isInnerClosed = true
        this.#toClient.clear()
        // What the client has said before is on its way still.
        if (this.#isDestroyed) this.#onClosed(error)
        else this.#toServer.push({ closed: error })
      },
    })
  }

  #onArrival(arrival: Arrival): void {
    if ('bytes' in arrival) this.#handler?.onData(arrival.bytes)
    else this.#onClosed(arrival.closed)
  }

  #onClosed(error: Error | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#toServer.clear()
    this.#onGone()
    this.#handler?.onClose(error)
  }

  write(bytes: Uint8Array): boolean {
    if (this.#sessionId === undefined && bytes.length >= SESSION_ID_OFFSET + SESSION_ID_BYTES) {
      this.#sessionId = new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(SESSION_ID_OFFSET)
    }
    this.#toClient.push(bytes)
    return !this.#isFull
  }

  pause(): void {
    this.#isPaused = true
    this.#inner.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#inner.resume()
    this.#toServer.update()
  }

  end(): void {
    this.#toClient.push('end')
  }

  destroy(): void {
    if (this.#isDestroyed) return
    this.#isDestroyed = true
    this.#toServer.clear()
    this.#toClient.clear()
    // Its end may have been on its way here, and comes only once.
    if (this.#isInnerClosed) setImmediate(() => this.#onClosed(undefined))
    else this.#inner.destroy()
  }
}
