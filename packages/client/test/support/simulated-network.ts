import type { Connection, ConnectionHandler, Endpoint, Listener, Network } from '@conclave/core'

/** What is at the other end of a connection. */
export interface Peer {
  onData(bytes: Buffer): void
  onClose(): void
}

/** The server's side of a connection. */
export interface PeerSocket {
  write(bytes: Uint8Array): void
  close(): void
}

export type Accept = (socket: PeerSocket) => Peer

/** One connection between the client and whoever accepts; bytes arrive in the next turn of the event loop. */
class SimulatedConnection implements Connection {
  readonly remote: Endpoint
  readonly #network: SimulatedNetwork
  #handler: ConnectionHandler | undefined
  #peer: Peer | undefined
  #arriving: Buffer[] = []
  #closed = false
  /** It breaks, though neither side has noticed: nothing passes any more. */
  #isCut = false
  hasLost = false
  /** Bytes that may still pass towards the server, and towards the client, before the connection is cut. */
  #toServer = Infinity
  #toClient = Infinity

  constructor(remote: Endpoint, network: SimulatedNetwork) {
    this.remote = remote
    this.#network = network
  }

  start(handler: ConnectionHandler): void {
    this.#handler = handler
    const accept = this.#network.accepting(this.remote)
    this.#later(() => {
      if (accept === undefined)
        return this.#close(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }))
      if (accept === 'silent') return
      this.#peer = accept({
        write: bytes => this.#deliver(Buffer.from(bytes)),
        close: () => this.#later(() => this.#close()),
      })
      handler.onConnect?.()
    })
  }

  /** The connection breaks when so many more bytes have passed. */
  cutAfter(direction: 'toServer' | 'toClient', bytes: number): void {
    if (direction === 'toServer') this.#toServer = bytes
    else this.#toClient = bytes
    if (bytes === 0) this.cut()
  }

  cut(): void {
    if (this.#closed) return
    this.#isCut = true
    this.#peer?.onClose()
    this.#later(() => this.#close(Object.assign(new Error('reset'), { code: 'ECONNRESET' })))
  }

  /** A stream cannot go on behind bytes that were swallowed. */
  #isSwallowed(): boolean {
    if (this.#network.isSilent) this.hasLost = true
    return this.#closed || this.#isCut || this.hasLost
  }

  #deliver(bytes: Buffer): void {
    if (this.#isSwallowed()) return
    const passed = bytes.subarray(0, Math.min(bytes.length, this.#toClient))
    this.#toClient -= passed.length
    // What is sent in one turn arrives as one piece, as it does on a real socket.
    if (this.#arriving.push(passed) === 1) {
      this.#later(() => {
        const bytes = Buffer.concat(this.#arriving)
        this.#arriving = []
        if (!this.#closed && bytes.length > 0) this.#handler!.onData(bytes)
      })
    }
    if (this.#toClient <= 0) this.cut()
  }

  write(bytes: Uint8Array): boolean {
    if (this.#isSwallowed()) return true
    const copy = Buffer.from(bytes)
    const passed = copy.subarray(0, Math.min(copy.length, this.#toServer))
    this.#toServer -= passed.length
    this.#later(() => {
      if (!this.#closed && passed.length > 0) this.#peer?.onData(passed)
    })
    if (this.#toServer <= 0) {
      this.#isCut = true
      this.#later(() => this.cut())
    }
    return true
  }

  pause(): void {}
  resume(): void {}

  end(): void {
    this.destroy()
  }

  destroy(): void {
    if (this.#closed) return
    // What was written before still arrives.
    this.#later(() => {
      this.#peer?.onClose()
      this.#close()
    })
  }

  #close(error?: Error): void {
    if (this.#closed) return
    this.#closed = true
    this.#network.connections.delete(this)
    this.#handler!.onClose(error)
  }

  #later(callback: () => void): void {
    setImmediate(callback)
  }
}

export type { SimulatedConnection }

/** A network in memory, in which servers come and go and connections break where a test says. */
export class SimulatedNetwork implements Network {
  readonly connections = new Set<SimulatedConnection>()
  readonly #servers = new Map<string, Accept | 'silent'>()
  readonly dialed: string[] = []
  #silent = false
  lookup = (host: string): Promise<readonly string[]> => Promise.resolve([host])

  /** Nothing passes, and nobody is told. */
  get isSilent(): boolean {
    return this.#silent
  }

  /** When it ends, connections that lost something on the way are reset. */
  set isSilent(silent: boolean) {
    this.#silent = silent
    if (!silent) for (const connection of [...this.connections]) if (connection.hasLost) connection.cut()
  }

  /** `silent`: connections are never established and never refused. */
  serve(host: string, accept: Accept | 'silent'): void {
    this.#servers.set(host, accept)
  }

  stop(host: string): void {
    this.#servers.delete(host)
    for (const connection of [...this.connections]) if (connection.remote.host === host) connection.cut()
  }

  accepting({ host }: Endpoint): Accept | 'silent' | undefined {
    return this.#servers.get(host)
  }

  /** The connection made last. */
  get last(): SimulatedConnection {
    return [...this.connections].at(-1)!
  }

  connect(endpoint: Endpoint): Connection {
    this.dialed.push(endpoint.host)
    const connection = new SimulatedConnection(endpoint, this)
    this.connections.add(connection)
    return connection
  }

  listen(): Promise<Listener> {
    return Promise.reject(new Error('the simulated network only dials'))
  }
}
