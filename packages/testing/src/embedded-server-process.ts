import { formatEndpoint, type Endpoint } from '@conclave/core'
import type { SnapshotForm } from '@conclave/server'
import { writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { TestProcess } from './process/test-process.ts'
import { TemporaryFolder } from './temporary-folder.ts'

export interface EmbeddedServerProcessOptions {
  /** A folder to keep and to leave alone afterwards. Default: a temporary one, removed by `close`. */
  readonly dataDir?: string
  /** Default 0: any that is free. A restarted server keeps its port. */
  readonly port?: number
  /** Default 2,000. */
  readonly tickTimeMs?: number
  /** Transactions from one snapshot to the next. Default 100,000. */
  readonly snapCount?: number
  /** How snapshots are compressed. Default `none`. */
  readonly snapshotCompression?: SnapshotForm
  /** Lines of a `zoo.cfg`, for what else it is told. Its pages are off unless they say otherwise. */
  readonly settings?: Readonly<Record<string, string | number>>
  /** Of the process, beside that of this one. */
  readonly env?: Readonly<Record<string, string>>
}

/** The embedded server as a process of its own, to be killed and started again on its data. */
export class EmbeddedServerProcess implements AsyncDisposable {
  /** Where its data is. */
  readonly dataDir: string
  readonly #options: EmbeddedServerProcessOptions
  readonly #folder = new TemporaryFolder()
  #endpoint: Endpoint
  #process: TestProcess | undefined

  private constructor(options: EmbeddedServerProcessOptions) {
    this.#options = options
    this.#endpoint = { host: '127.0.0.1', port: options.port ?? 0 }
    this.dataDir = options.dataDir ?? join(this.#folder.path, 'data')
  }

  /** Resolves when it serves requests; rejects, with what it said, when it ends before that. */
  static async start(options: EmbeddedServerProcessOptions = {}): Promise<EmbeddedServerProcess> {
    const server = new EmbeddedServerProcess(options)
    try {
      await server.restart()
    } catch (error) {
      await server.close()
      throw error
    }
    return server
  }

  /** Where it listens; stays the same when it is started again. */
  get endpoint(): Endpoint {
    return this.#endpoint
  }

  /** The endpoint, as clients take it. */
  get connectString(): string {
    return formatEndpoint(this.#endpoint)
  }

  /** Of the process that runs, or ran last. */
  get pid(): number {
    return this.#process?.pid ?? -1
  }

  /** The process itself, to send it signals or read what it said. */
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
  async restart(): Promise<void> {
    await this.kill()
    const { host, port } = this.#endpoint
    const { tickTimeMs, snapCount, snapshotCompression, settings, env } = this.#options
    const args = ['--data-dir', this.dataDir, '--host', host, '--port', String(port)]
    if (tickTimeMs !== undefined) args.push('--tick-time-ms', String(tickTimeMs))
    if (snapCount !== undefined) args.push('--snap-count', String(snapCount))
    if (snapshotCompression !== undefined) args.push('--snapshot-compression', snapshotCompression)
    if (settings !== undefined) args.push('--config', await this.#writeConfig(settings))
    this.#process = new TestProcess(process.execPath, [serverProgram(), ...args], {
      name: 'the embedded server',
      ...(env !== undefined && { env }),
    })
    this.#endpoint = { host, port: await this.#process.line(parseListening) }
  }

  async #writeConfig(settings: Readonly<Record<string, string | number>>): Promise<string> {
    const lines = Object.entries({ 'admin.enableServer': 'false', ...settings })
    const path = join(this.#folder.path, 'zoo.cfg')
    await writeFile(path, lines.map(([name, value]) => `${name}=${value}\n`).join(''))
    return path
  }

  /** Kills it, and removes its data folder if that was a temporary one. */
  async close(): Promise<void> {
    await this.kill()
    await this.#folder.remove()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Always the built program: Node.js 20 cannot run sources. */
function serverProgram(): string {
  const index = createRequire(import.meta.url).resolve('@conclave/server')
  return join(dirname(index), '..', 'dist', 'program', 'bin.cjs')
}

/** The port, if this is the line that the server prints when it serves. */
function parseListening(line: string): number | undefined {
  if (!line.startsWith('{')) return undefined
  const { event, port } = JSON.parse(line) as { event?: string; port?: number }
  return event === 'listening' ? port : undefined
}
