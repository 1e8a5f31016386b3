import { formatEndpoint, type Endpoint } from '@conclave/core'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** Which way bytes go: from the client to the server, or back. */
export type Direction = 'toServer' | 'toClient'

const BOTH: readonly Direction[] = ['toServer', 'toClient']

/** What becomes of the bytes of one direction, on every connection. */
interface Lane {
  isHeld: boolean
  delayMs: number
  /** What is to happen as soon as so many more bytes have passed; `undefined`: nothing. */
  plan: { bytesLeft: number; readonly action: () => void } | undefined
  /** How many have passed, over all connections. */
  passedBytes: number
}

/**
 * A TCP proxy that makes a bad network on command: connections that break, at any chosen byte, that hang, that are
 * slow, that end on one side only. Put its `connectString` in place of the server's.
 */
export class FaultProxy implements AsyncDisposable {
  readonly #target: Endpoint
  readonly #links = new Set<Link>()
  readonly #lanes: Record<Direction, Lane> = { toServer: newLane(), toClient: newLane() }
  readonly #server: Server
  #endpoint: Endpoint = { host: '127.0.0.1', port: 0 }
  #isRefusing = false
  #accepted = 0

  private constructor(target: Endpoint) {
    this.#target = target
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, client => this.#accept(client))
  }

  /** Resolves when it listens, on a free port of the loopback address. */
  static async start(target: Endpoint): Promise<FaultProxy> {
    const proxy = new FaultProxy(target)
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject)
      proxy.#server.listen(0, '127.0.0.1', resolve)
    })
    proxy.#endpoint = { host: '127.0.0.1', port: (proxy.#server.address() as AddressInfo).port }
    return proxy
  }

  /** Where it listens. */
  get endpoint(): Endpoint {
    return this.#endpoint
  }

  /** The endpoint, as clients take it. */
  get connectString(): string {
    return formatEndpoint(this.#endpoint)
  }

  /** How many connections there are. */
  get connections(): number {
    return this.#links.size
  }

  /** How many connections were made since the start. */
  get accepted(): number {
    return this.#accepted
  }

  /** How many bytes have passed this way since the start, over all connections. */
  passedBytes(direction: Direction): number {
    return this.#lanes[direction].passedBytes
  }

  /** Breaks every connection there is, with a reset. New ones are served. */
  cut(): void {
    for (const link of [...this.#links]) link.reset()
  }

  /** Lets exactly so many more bytes pass this way, over all connections, then breaks all of them, once. */
  cutAfter(direction: Direction, bytes: number): void {
    this.after(direction, bytes, () => this.cut())
  }

  /**
   * Lets exactly so many more bytes pass this way, over all connections, then calls back, once and before any other byte
   * passes: to cut, hold, delay or half-close at a chosen byte. A later plan replaces it.
   */
  after(direction: Direction, bytes: number, action: () => void): void {
    this.#lanes[direction].plan = { bytesLeft: bytes, action }
  }

  /** Breaks new connections as soon as they are made, until `heal`; those there are go on. */
  refuse(): void {
    this.#isRefusing = true
  }

  /**
   * Passes nothing on any more, not even the end of a connection, until `heal`: a partition. As with a real one,
   * what was held then goes on its way.
   */
  hold(...directions: readonly Direction[]): void {
    for (const direction of directions.length === 0 ? BOTH : directions) this.#lanes[direction].isHeld = true
    this.#update()
  }

  /** Delivers each byte so much later, in milliseconds, from now on. */
  delay(delayMs: number, ...directions: readonly Direction[]): void {
    for (const direction of directions.length === 0 ? BOTH : directions)
      this.#lanes[direction].delayMs = delayMs
  }

  /** Ends this direction of every connection in order, and leaves the other open. */
  halfClose(direction: Direction): void {
    for (const link of this.#links) link.end(direction)
  }

  /** Ends every fault. */
  heal(): void {
    this.#isRefusing = false
    for (const direction of BOTH)
      Object.assign(this.#lanes[direction], { ...newLane(), passedBytes: this.passedBytes(direction) })
    this.#update()
  }

  /** Breaks all connections and stops listening. */
  async close(): Promise<void> {
    const closed = new Promise(resolve => this.#server.close(resolve))
    this.cut()
    await closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #update(): void {
    for (const link of [...this.#links]) link.update()
  }

  #accept(client: Socket): void {
    this.#accepted++
    if (this.#isRefusing) {
      client.on('error', () => {})
      client.resetAndDestroy()
      return
    }
    const server = connect({ ...this.#target, allowHalfOpen: true, noDelay: true })
    const link = new Link(client, server, this.#lanes, () => this.#links.delete(link))
    this.#links.add(link)
    link.update()
  }
}

function newLane(): Lane {
  return { isHeld: false, delayMs: 0, plan: undefined, passedBytes: 0 }
}

/** One client's connection and the one to the server that belongs to it. */
class Link {
  readonly #lanes: Record<Direction, Lane>
  readonly #pipes: Record<Direction, Pipe>
  readonly #sockets: readonly Socket[]
  readonly #onGone: () => void
  /** One side is gone, and the other is to be told as soon as nothing is held. */
  #isBroken = false

  constructor(client: Socket, server: Socket, lanes: Record<Direction, Lane>, onGone: () => void) {
    this.#lanes = lanes
    this.#sockets = [client, server]
    this.#onGone = onGone
    this.#pipes = {
      toServer: new Pipe(client, server, lanes.toServer),
      toClient: new Pipe(server, client, lanes.toClient),
    }
    for (const socket of this.#sockets) {
      // What went wrong is passed on as a reset.
      socket.on('error', () => {
        this.#isBroken = true
        this.update()
      })
      socket.on('close', () => {
        if (this.#sockets.every(({ destroyed }) => destroyed)) this.#onGone()
      })
    }
  }

  update(): void {
    for (const direction of BOTH) this.#pipes[direction].update()
    if (this.#isBroken && BOTH.every(direction => !this.#lanes[direction].isHeld)) this.reset()
  }

  end(direction: Direction): void {
    this.#pipes[direction].end()
  }

  reset(): void {
    for (const direction of BOTH) this.#pipes[direction].stop()
    for (const socket of this.#sockets) {
      // Node.js leaks the handle of a socket that is reset after it was ended.
      if (socket.writableEnded) socket.destroy()
      else socket.resetAndDestroy()
    }
    this.#onGone()
  }
}

/** One direction of one connection. */
class Pipe {
  readonly #from: Socket
  readonly #to: Socket
  readonly #lane: Lane
  /** What is still to be delivered, in order; `end` is the end of the stream. */
  readonly #queue: { item: Buffer | 'end'; dueMs: number }[] = []
  #timer: NodeJS.Timeout | undefined
  #isEnded = false
  /** A plan is being carried out: nothing else passes before. */
  #isPlanDue = false

  constructor(from: Socket, to: Socket, lane: Lane) {
    this.#from = from
    this.#to = to
    this.#lane = lane
    from.on('data', chunk => this.#add(chunk))
    from.on('end', () => this.#add('end'))
    to.on('drain', () => this.update())
  }

  /** To be called whenever the lane has changed. */
  update(): void {
    if (this.#lane.isHeld || this.#to.writableNeedDrain) this.#from.pause()
    else this.#from.resume()
    this.#deliver()
  }

  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#to.end()
  }

  stop(): void {
    this.#isEnded = true
    this.#queue.length = 0
    clearTimeout(this.#timer)
  }

  #add(item: Buffer | 'end'): void {
    this.#queue.push({ item, dueMs: performance.now() + this.#lane.delayMs })
    this.#deliver()
  }

  #deliver(): void {
    clearTimeout(this.#timer)
    while (!this.#lane.isHeld && !this.#isEnded && !this.#isPlanDue) {
      const next = this.#queue[0]
      if (next === undefined) return
      const waitMs = next.dueMs - performance.now()
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#deliver(), waitMs)
        return
      }
      this.#queue.shift()
      if (next.item === 'end') this.end()
      else this.#pass(next.item)
    }
  }

  #pass(chunk: Buffer): void {
    const lane = this.#lane
    const { plan } = lane
    if (plan === undefined || chunk.length < plan.bytesLeft) {
      if (plan !== undefined) plan.bytesLeft -= chunk.length
      lane.passedBytes += chunk.length
      if (!this.#to.write(chunk)) this.#from.pause()
      return
    }
    lane.plan = undefined
    lane.passedBytes += plan.bytesLeft
    const item = chunk.subarray(plan.bytesLeft)
    // The last bytes must be out before the plan is carried out: a reset would overtake them.
    this.#isPlanDue = true
    this.#to.write(chunk.subarray(0, plan.bytesLeft), () => {
      this.#isPlanDue = false
      plan.action()
      if (item.length > 0) this.#queue.unshift({ item, dueMs: performance.now() + lane.delayMs })
      this.#deliver()
    })
  }
}
