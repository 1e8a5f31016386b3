import {
  deferred,
  formatEndpoint,
  Lifecycle,
  nodePlatform,
  silentLogger,
  type Endpoint,
  type Listener,
  type Logger,
  type Platform,
  type Timer,
} from '@conclave/core'
import { removeAddressFile, writeAddressFile } from './address-file.ts'
import { answerFourLetterWord, type ServerFacts } from './admin/four-letter-words.ts'
import { TrafficStats } from './admin/server-stats.ts'
import { ClientConnection } from './net/client-connection.ts'
import { GroupCommit } from './pipeline/group-commit.ts'
import { RequestPipeline } from './pipeline/request-pipeline.ts'
import { resolveOptions, type ServerOptions } from './server-options.ts'
import { Snapshots } from './snapshots.ts'
import { DataFolder } from './storage/data-folder.ts'
import { LockFile } from './storage/lock-file.ts'
import { recover } from './storage/recovery.ts'
import { writeSnapshot } from './storage/snapshot-writer.ts'
import { TxnLog } from './storage/txn-log.ts'

/** At most so many unused znodes are removed at a time. (Apache's `znode.container.maxPerMinute`) */
const MAX_REMOVED_PER_CHECK = 10_000

/**
 * A standalone ZooKeeper server on a data folder, inside this process.
 *
 * ```ts
 * const server = await EmbeddedServer.start({ dataDir: './data', port: 0 })
 * console.log(server.connectString)
 * await server.close()
 * ```
 */
export class EmbeddedServer {
  /** Where it listens. */
  readonly endpoint: Endpoint
  /** Settles when the server has ended, by `close` or by itself; rejects when its disk failed. */
  readonly closed: Promise<void>
  readonly #lifecycle = new Lifecycle('the server')
  readonly #parts: Parts
  readonly #ended = deferred()
  readonly #timers = new Set<Timer>()
  readonly #idleExitMs: number | undefined
  #idleTimer: Timer | undefined

  private constructor(parts: Parts, idleExitMs: number | undefined) {
    this.#parts = parts
    this.endpoint = parts.listener.endpoint
    this.closed = this.#ended.promise
    this.closed.catch(() => {})
    this.#idleExitMs = idleExitMs
    this.#lifecycle.start()
  }

  /**
   * Reads the data folder and resolves when clients are served. Rejects with `DataFolderError`,
   * `DataFolderLockedError`, `CorruptDataError`, `ListenError` or `UsageError`; nothing is left behind then.
   */
  static async start(options: ServerOptions): Promise<EmbeddedServer> {
    const settings = resolveOptions(options)
    const platform: Platform = { ...nodePlatform, ...options.platform }
    const logger = options.logger ?? silentLogger
    const folder = new DataFolder(platform.disk, settings.dataDir, options.dataLogDir)
    await folder.prepare()
    const lock = await LockFile.acquire(platform.disk, platform.clock, settings.dataDir)
    let listener: Listener | undefined
    try {
      const { state, replayedCount, isNew } = await recover(folder, settings.tickTimeMs, logger)
      state.sessions.touchAll(platform.clock.nowMs())
      // Apache refuses logs without a snapshot to begin from, even an empty one.
      if (isNew) await writeSnapshot(folder, state, async () => {})
      const log = new TxnLog(folder)
      // The two are told of each other's events, which do not begin before a client connects.
      const hooks = { server: undefined as EmbeddedServer | undefined }
      const commit: GroupCommit = new GroupCommit(
        log,
        {
          onDurable: () => pipeline.onDurable(),
          onFailure: error => hooks.server?.fail(error),
        },
        logger,
      )
      const snapshots = new Snapshots(folder, state, commit, {
        every: settings.snapCount,
        keep: settings.snapRetainCount,
        since: replayedCount,
        logger,
      })
      const stats = new TrafficStats()
      const pipeline: RequestPipeline = new RequestPipeline(state, commit, platform.clock, logger, {
        minSessionTimeoutMs: settings.minSessionTimeoutMs,
        maxSessionTimeoutMs: settings.maxSessionTimeoutMs,
        maxFrameBytes: settings.maxFrameBytes,
        maxClientCnxns: settings.maxClientCnxns,
        enforceQuota: settings.enforceQuota,
        superDigest: options.superDigest,
        stats,
        answerFourLetterWord: word => answerFourLetterWord(word, facts, options.fourLetterWords),
        onTransaction: () => snapshots.onTransaction(),
        onSessionsConnected: count => hooks.server?.onSessionsConnected(count),
      })
      const facts: ServerFacts = {
        state,
        stats,
        clients: pipeline.clients,
        folder,
        clock: platform.clock,
        startedMs: platform.clock.nowMs(),
        settings,
        clientPort: () => listener?.endpoint.port ?? 0,
        outstanding: () => pipeline.waitingCount,
      }
      const endpoint = { host: settings.host, port: settings.port }
      listener = await platform.network.listen(endpoint, connection =>
        pipeline.add(new ClientConnection(connection, pipeline, platform.clock.wallMs())),
      )
      const parts = { platform, logger, folder, lock, commit, log, snapshots, pipeline, listener }
      const server = new EmbeddedServer(parts, options.idleExitMs)
      hooks.server = server
      await writeAddressFile(platform.disk, settings.dataDir, {
        pid: process.pid,
        ...listener.endpoint,
        startedAt: new Date(platform.clock.wallMs()).toISOString(),
      })
      server.#every(settings.tickTimeMs, () => setImmediate(() => pipeline.expireSessions()))
      server.#every(settings.containerCheckIntervalMs, () => pipeline.removeUnused(MAX_REMOVED_PER_CHECK))
      server.onSessionsConnected(0)
      logger.log('info', 'serving', { ...listener.endpoint, dataDir: settings.dataDir, zxid: state.lastZxid })
      return server
    } catch (error) {
      await listener?.close()
      await lock.release()
      throw error
    }
  }

  /** `host:port`, for `ZooKeeper.connect`. */
  get connectString(): string {
    return formatEndpoint(this.endpoint)
  }

  /** Ends every connection, finishes the log, and gives the folder free. Sessions live on in the log. */
  close(): Promise<void> {
    return this.#lifecycle.close(() => this.#shutDown())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #shutDown(): Promise<void> {
    const { platform, folder, lock, commit, log, snapshots, pipeline, listener } = this.#parts
    for (const timer of this.#timers) timer.cancel()
    this.#idleTimer?.cancel()
    const stopped = listener.close()
    await commit.drain()
    for (const client of pipeline.clients) client.destroy()
    await stopped
    await commit.drain()
    await snapshots.settled()
    // The log's end may be refused by a disk that failed; what is on it is whole without.
    if (commit.failed) await log.close().catch(() => {})
    else await log.close()
    await removeAddressFile(platform.disk, folder.path)
    await lock.release()
    this.#ended.resolve()
  }

  /**
   * Ends a session at once, as if nothing had been heard of it for its timeout: its ephemeral znodes go, and so does its
   * connection. `false` where there is no such session. For tests of what programs do then.
   */
  expireSession(sessionId: bigint): boolean {
    this.#lifecycle.assertOpen()
    return this.#parts.pipeline.expireSession(sessionId)
  }

  /** Ends every connection, while the sessions live on; returns how many there were. For tests. */
  dropConnections(): number {
    this.#lifecycle.assertOpen()
    const clients = [...this.#parts.pipeline.clients]
    for (const client of clients) client.destroy()
    return clients.length
  }

  /** @internal The disk refused: what waits for it is never answered, and nobody is told otherwise. */
  fail(error: unknown): void {
    this.#ended.reject(error)
    void this.close()
  }

  /** @internal Counts the time without anybody. */
  onSessionsConnected(count: number): void {
    this.#idleTimer?.cancel()
    if (this.#idleExitMs === undefined || count > 0 || this.#lifecycle.state !== 'started') return
    this.#idleTimer = this.#parts.platform.clock.setTimer(this.#idleExitMs, () => void this.close())
  }

  #every(intervalMs: number, action: () => void): void {
    const { clock } = this.#parts.platform
    const arm = (): void => {
      const timer = clock.setTimer(intervalMs, () => {
        this.#timers.delete(timer)
        if (this.#lifecycle.state !== 'started') return
        arm()
        action()
      })
      this.#timers.add(timer)
    }
    arm()
  }
}

interface Parts {
  readonly platform: Platform
  readonly logger: Logger
  readonly folder: DataFolder
  readonly lock: LockFile
  readonly commit: GroupCommit
  readonly log: TxnLog
  readonly snapshots: Snapshots
  readonly pipeline: RequestPipeline
  readonly listener: Listener
}
