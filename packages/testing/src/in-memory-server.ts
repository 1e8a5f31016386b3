import { UsageError, type Endpoint } from '@conclave/core'
import { EmbeddedServer, type ServerOptions } from '@conclave/server'
import { SimulatedDisk } from './simulated/simulated-disk.ts'
import { SlowNetwork, type DelayOptions } from './simulated/slow-network.ts'
import { VirtualClock } from './simulated/virtual-clock.ts'

/** The log grows by so much at a time: enough for most tests, and made in no time. */
const PRE_ALLOC_BYTES = 64 << 10

/** As for `EmbeddedServer.start`, but for the port, where the default is any free one, and what is simulated. */
export interface InMemoryServerOptions extends Omit<ServerOptions, 'dataDir' | 'platform'> {
  /** What it finds there it goes on with. Default: an empty one. */
  readonly disk?: SimulatedDisk
}

/**
 * Conclave's server in this process and in memory, on a port of the loopback address, for tests of programs that need
 * one. It brings about what such programs must survive: sessions that expire, connections that break, answers that are
 * late, and time, which stands still or leaps on command.
 */
export class InMemoryServer implements AsyncDisposable {
  /** The server itself, for all that is not about tests. */
  readonly server: EmbeddedServer
  readonly #clock: VirtualClock
  readonly #network: SlowNetwork

  private constructor(server: EmbeddedServer, clock: VirtualClock, network: SlowNetwork) {
    this.server = server
    this.#clock = clock
    this.#network = network
  }

  /** Resolves, within milliseconds, when clients are served. */
  static async start(options: InMemoryServerOptions = {}): Promise<InMemoryServer> {
    const { disk = new SimulatedDisk(), ...rest } = options
    const clock = new VirtualClock(Date.now())
    const network = new SlowNetwork()
    clock.run()
    const server = await EmbeddedServer.start({
      port: 0,
      preAllocBytes: PRE_ALLOC_BYTES,
      expiryStepMs: 1,
      ...rest,
      dataDir: 'memory',
      platform: { clock, network, disk },
    })
    return new InMemoryServer(server, clock, network)
  }

  /** Where it listens. */
  get endpoint(): Endpoint {
    return this.server.endpoint
  }

  /** `host:port`, for `ZooKeeper.connect`. */
  get connectString(): string {
    return this.server.connectString
  }

  /** Ends a session at once, as if its time were up; `false` where there is no such session. */
  expireSession(sessionId: bigint): boolean {
    return this.server.expireSession(sessionId)
  }

  /** Ends every connection, while the sessions live on; returns how many there were. */
  dropConnections(): number {
    return this.server.dropConnections()
  }

  /**
   * From now on everything takes so many milliseconds more, and so does what is under way; 0 lifts that. A delay for one
   * session goes before the one for everybody, until the next one for everybody. It is real time, also while the clock is
   * stopped. Connections with TLS are as fast as ever.
   */
  delay(delayMs: number, options: DelayOptions = {}): void {
    if (!(delayMs >= 0)) throw new UsageError(`a delay must be 0 or more, not ${delayMs}`)
    this.#network.delay(delayMs, options)
  }

  /**
   * The server's time stands still until `startClock`: it answers, but no session expires, no container or TTL znode is
   * removed, however long it takes. Clients have clocks of their own.
   */
  stopClock(): void {
    this.#clock.stop()
  }

  /** From where it stands, the server's time goes on by itself. */
  startClock(): void {
    this.#clock.run()
  }

  /**
   * Moves the stopped clock on and does what is due then, in its order; resolves when it is done. Nobody is heard of
   * meanwhile, so a session whose timeout is not longer than that expires, to the millisecond, whether or not its client
   * lives. Rejects with `UsageError` while the clock runs.
   */
  async advance(ms: number): Promise<void> {
    if (!(ms >= 0)) throw new UsageError(`time can be advanced by 0 or more, not ${ms}`)
    this.#network.isDeaf = true
    try {
      await this.#clock.advance(ms)
    } finally {
      this.#network.isDeaf = false
    }
  }

  /** Ends every connection, and the server. What it has written stays on its disk. */
  close(): Promise<void> {
    return this.server.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** `InMemoryServer.start`, in a word. */
export function inMemoryServer(options: InMemoryServerOptions = {}): Promise<InMemoryServer> {
  return InMemoryServer.start(options)
}
