import { formatEndpoint, type Endpoint } from '@conclave/core'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually } from '../eventually.ts'
import { describeEnd, TestProcess } from '../process/test-process.ts'
import { TemporaryFolder } from '../temporary-folder.ts'
import { findZooKeeper, type ZooKeeperInstallation } from './find-zookeeper.ts'
import { fourLetterWord } from './four-letter-word.ts'
import { freePort } from './free-port.ts'

export interface ApacheZooKeeperOptions {
  /** A folder to keep and to leave alone afterwards. Default: a temporary one, removed by `close`. */
  readonly dataDir?: string
  /** The client port. Default 0: any that is free. */
  readonly port?: number
  /** `tickTime` in milliseconds; sessions can last 2 to 20 ticks. Default 2,000, as Apache ZooKeeper's. */
  readonly tickTimeMs?: number
  /** More lines for its `zoo.cfg`. */
  readonly settings?: Readonly<Record<string, string | number>>
  /** Of Java, for what no `zoo.cfg` can say. */
  readonly systemProperties?: Readonly<Record<string, string>>
  /** How long it may take until it serves, in milliseconds. Default 60,000: Java on a busy machine. */
  readonly startTimeoutMs?: number
  /** More options for Java, behind those that let it start fast. */
  readonly javaOptions?: readonly string[]
}

/** Compiled code good enough for a server that lives for seconds, in a small heap: starts in half the time. */
const JAVA_OPTIONS = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto', '-Xmx512m']

/** A real Apache ZooKeeper, standalone, on the loopback address. `start` resolves when it serves requests. */
export class ApacheZooKeeper implements AsyncDisposable {
  /** Where it listens. */
  readonly endpoint: Endpoint
  /** Where its data is. */
  readonly dataDir: string
  readonly #installation: ZooKeeperInstallation
  readonly #options: ApacheZooKeeperOptions
  readonly #folder: TemporaryFolder
  #process: TestProcess | undefined

  private constructor(options: ApacheZooKeeperOptions, installation: ZooKeeperInstallation, port: number) {
    this.#options = options
    this.#installation = installation
    this.#folder = new TemporaryFolder()
    this.endpoint = { host: '127.0.0.1', port }
    this.dataDir = options.dataDir ?? join(this.#folder.path, 'data')
  }

  /** Rejects where none is installed (`findZooKeeper`), or it ends or does not serve within `startTimeoutMs`. */
  static async start(options: ApacheZooKeeperOptions = {}): Promise<ApacheZooKeeper> {
    const server = await ApacheZooKeeper.prepare(options)
    try {
      await server.restart()
    } catch (error) {
      await server.close()
      throw error
    }
    return server
  }

  /** All but the process, for servers that have to know of each other first; `restart` starts it. */
  static async prepare(options: ApacheZooKeeperOptions = {}): Promise<ApacheZooKeeper> {
    const installation = findZooKeeper()
    if (installation === undefined) {
      throw new Error(
        'No Apache ZooKeeper with Java was found: install one, or name its folder in CONCLAVE_ZOOKEEPER_HOME',
      )
    }
    const port = options.port === undefined || options.port === 0 ? await freePort() : options.port
    return new ApacheZooKeeper(options, installation, port)
  }

  /** The endpoint, as clients take it. */
  get connectString(): string {
    return formatEndpoint(this.endpoint)
  }

  /** Of the process that runs, or ran last. */
  get pid(): number {
    return this.#process?.pid ?? -1
  }

  /** The process itself, to send it signals or read its log (warnings and errors on `stderr`). */
  get process(): TestProcess {
    if (this.#process === undefined) throw new Error('this server was never started')
    return this.#process
  }

  /** Ends it in order; the data stays, for `restart`. */
  async stop(): Promise<void> {
    await this.#process?.terminate()
  }

  /** Ends it with SIGKILL; the data stays, for `restart`. */
  async kill(): Promise<void> {
    await this.#process?.kill()
  }

  /** Starts it again, after killing it if it runs, on the same folder and port. Resolves when it serves. */
  async restart(settings: Readonly<Record<string, string | number>> = {}): Promise<void> {
    await this.kill()
    const process = await this.#spawn(settings)
    this.#process = process
    await eventually(() => !process.isRunning || this.#isServing(), {
      what: `Apache ZooKeeper's start on ${this.connectString}`,
      timeoutMs: this.#options.startTimeoutMs ?? 60_000,
      everyMs: 25,
    })
    if (process.isRunning) return
    throw new Error(`Apache ZooKeeper ended (${describeEnd(await process.ended)}): ${process.stderr}`)
  }

  /** Kills it, and removes its data folder if that was a temporary one. */
  async close(): Promise<void> {
    await this.kill()
    await this.#folder.remove()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #spawn(settings: Readonly<Record<string, string | number>>): Promise<TestProcess> {
    const zooCfg = {
      tickTime: this.#options.tickTimeMs ?? 2_000,
      dataDir: this.dataDir,
      clientPort: this.endpoint.port,
      clientPortAddress: this.endpoint.host,
      maxClientCnxns: 0,
      'admin.enableServer': false,
      '4lw.commands.whitelist': '*',
      extendedTypesEnabled: true,
      ...this.#options.settings,
      ...settings,
    }
    const file = join(this.#folder.path, 'zoo.cfg')
    await mkdir(this.dataDir, { recursive: true })
    await writeFile(
      file,
      Object.entries(zooCfg)
        .map(([key, value]) => `${key}=${String(value)}\n`)
        .join(''),
    )
    return new TestProcess(
      this.#installation.java,
      [
        ...JAVA_OPTIONS,
        ...(this.#options.javaOptions ?? []),
        ...Object.entries(this.#options.systemProperties ?? {}).map(([name, value]) => `-D${name}=${value}`),
        '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
        '-cp',
        this.#installation.classPath,
        'org.apache.zookeeper.server.quorum.QuorumPeerMain',
        file,
      ],
      { name: 'Apache ZooKeeper', cwd: this.#folder.path },
    )
  }

  /** Before it serves, the answer is that it does not. */
  async #isServing(): Promise<boolean> {
    return (await fourLetterWord(this.endpoint, 'srvr', 1_000)).includes('Mode: ')
  }
}
