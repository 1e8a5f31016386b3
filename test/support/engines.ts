import type { Endpoint } from '@conclave/core'
import { ZooKeeper, type ConnectOptions } from '@conclave/client'
import { ApacheZooKeeper, EmbeddedServerProcess, leakGuard } from '@conclave/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe } from 'vitest'

/** What a suite can do with a server, whichever it is. */
export interface RunningServer extends AsyncDisposable {
  readonly endpoint: Endpoint
  readonly connectString: string
  readonly dataDir: string
  readonly pid: number
  stop(): Promise<void>
  kill(): Promise<void>
  restart(): Promise<void>
  close(): Promise<void>
}

export interface EngineOptions {
  readonly dataDir?: string
  /** Sessions last 2 to 20 ticks. */
  readonly tickTimeMs?: number
}

/** A server that speaks ZooKeeper's protocol. */
export interface Engine {
  readonly name: string
  start(options?: EngineOptions): Promise<RunningServer>
}

export const embeddedServer: Engine = {
  name: 'embedded server',
  start: options => EmbeddedServerProcess.start(options),
}

export const apacheZooKeeper: Engine = {
  name: 'Apache ZooKeeper',
  start: options => ApacheZooKeeper.start(options),
}

export const engines: readonly Engine[] = [embeddedServer, apacheZooKeeper]

/** What a suite gets of the engine it runs on. */
export class EngineFixture {
  readonly engine: Engine
  readonly #clients: ZooKeeper[] = []
  #server: RunningServer | undefined
  #testCount = 0

  constructor(engine: Engine) {
    this.engine = engine
  }

  /** One for the whole suite; its ticks are half a second, so that sessions can expire soon. */
  get server(): RunningServer {
    if (this.#server === undefined) throw new Error('there is a server only while tests run')
    return this.#server
  }

  /** The connect string with a chroot that is the test's own. */
  get connectString(): string {
    return `${this.server.connectString}/test-${this.#testCount}`
  }

  /** A client below the test's own chroot, closed after the test. */
  async connect(options: ConnectOptions = {}): Promise<ZooKeeper> {
    const zk = await ZooKeeper.connect(this.connectString, options)
    this.#clients.push(zk)
    return zk
  }

  /** A client that sees the whole tree. */
  async connectToRoot(): Promise<ZooKeeper> {
    const zk = await ZooKeeper.connect(this.server.connectString)
    this.#clients.push(zk)
    return zk
  }

  async startServer(): Promise<void> {
    this.#server = await this.engine.start({ tickTimeMs: 500 })
  }

  async stopServer(): Promise<void> {
    await this.#server?.close()
  }

  async beginTest(): Promise<void> {
    this.#testCount++
    await using zk = await ZooKeeper.connect(this.server.connectString)
    await zk.create(`/test-${this.#testCount}`)
  }

  async endTest(): Promise<void> {
    await Promise.all(this.#clients.splice(0).map(zk => zk.close()))
  }
}

/** Runs one suite against each engine. */
export function describeEachEngine(title: string, suite: (fixture: EngineFixture) => void): void {
  describe.each(engines)(`${title}, on $name`, engine => {
    const fixture = new EngineFixture(engine)
    let assertClean: () => Promise<void>
    beforeAll(async () => {
      assertClean = leakGuard()
      await fixture.startServer()
    })
    beforeEach(() => fixture.beginTest())
    afterEach(() => fixture.endTest())
    afterAll(async () => {
      await fixture.stopServer()
      await assertClean()
    })
    suite(fixture)
  })
}
