import {
  deferred,
  formatEndpoint,
  Lifecycle,
  nodePlatform,
  ownIdentity,
  silentLogger,
  UsageError,
  listenUnified,
  tlsNetwork,
  type Connection,
  type Endpoint,
  type Listener,
  type Logger,
  type Platform,
  type Timer,
} from '@conclave/core'
import type { DataActions } from './admin/data-commands.ts'
import type { ServerFacts } from './admin/server-facts.ts'
import { removeAddressFile, writeAddressFile } from './address-file.ts'
import { readTreeAt, type PastTree } from './past-tree.ts'
import { AuditLog } from './audit/audit-log.ts'
import { ClientConnection } from './net/client-connection.ts'
import { closeCore, openCore, type CoreOwner, type ServerCore } from './server-core.ts'
import { resolveOptions, type ServerOptions, type ServerSettings } from './server-options.ts'
import { DataFolder } from './storage/data-folder.ts'
import { LockFile } from './storage/lock-file.ts'

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
  /** Settles when the server has ended, by `close` or by itself; rejects when its disk cannot even be read any more. */
  readonly closed: Promise<void>
  readonly #lifecycle = new Lifecycle('the server')
  readonly #ended = deferred()
  readonly #settings: ServerSettings
  readonly #platform: Platform
  readonly #folder: DataFolder
  readonly #logger: Logger
  readonly #auditLog: AuditLog | undefined
  readonly #timers = new Set<Timer>()
  /** Everything that listens. */
  readonly #listeners: Listener[] = []
  #plain: Listener | undefined
  #secure: Listener | undefined
  #admin: Listener | undefined
  #metrics: Listener | undefined
  #lock: LockFile | undefined
  #core: ServerCore | undefined
  #idleTimer: Timer | undefined
  /** Settles when a log that could not be written is given up, and what it has is read again. */
  #recovering: Promise<void> | undefined
  /** Settles when the tree that is being restored is in place. */
  #restoring: Promise<unknown> | undefined

  private constructor(options: ServerOptions) {
    this.#settings = resolveOptions(options)
    this.#platform = { ...nodePlatform, ...options.platform }
    this.#folder = new DataFolder(this.#platform.disk, this.#settings.dataDir, options.dataLogDir)
    this.#logger = options.logger ?? silentLogger
    this.#auditLog = options.audit === undefined ? undefined : new AuditLog(options.audit, this.#logger)
    this.closed = this.#ended.promise
    this.closed.catch(() => {})
  }

  /**
   * Reads the data folder and resolves when clients are served. Rejects with `DataFolderError`,
   * `DataFolderLockedError`, `CorruptDataError`, `ListenError` or `UsageError`; nothing is left behind then.
   */
  static async start(options: ServerOptions): Promise<EmbeddedServer> {
    const server = new EmbeddedServer(options)
    await server.#folder.prepare()
    server.#lock = await LockFile.acquire(server.#platform, server.#folder.path)
    try {
      await server.#folder.removeUnfinished()
      await server.#serve()
    } catch (error) {
      for (const listener of server.#listeners) await listener.close()
      await server.#lock.release()
      throw error
    }
    return server
  }

  async #serve(): Promise<void> {
    const { pipeline, state } = await this.#open(true)
    await this.#listen()
    this.#lifecycle.start()
    const isSecure = this.#plain === undefined ? { isSecure: true as const } : {}
    const address = { ...ownIdentity(), ...this.endpoint, ...isSecure }
    await writeAddressFile(this.#platform.disk, this.#folder.path, address)
    this.#expireInTime()
    this.#every(this.#settings.containerCheckIntervalMs, () => {
      this.#core?.pipeline.removeUnused(MAX_REMOVED_PER_CHECK)
    })
    this.#onSessionsConnected(pipeline.attachedCount)
    const { path: dataDir } = this.#folder
    this.#auditLog?.serverStarted()
    this.#logger.log('info', 'serving', { ...this.endpoint, dataDir, zxid: state.lastZxid })
  }

  async #open(isWritable: boolean): Promise<ServerCore> {
    const owner: CoreOwner = {
      onSessionsConnected: count => this.#onSessionsConnected(count),
      onFailure: error => {
        this.#recovering = this.#onDiskFailure(error)
      },
      clientPort: () => this.#plain?.endpoint.port ?? 0,
      securePort: () => this.secureEndpoint?.port ?? -1,
    }
    const auditLog = this.#auditLog
    const shell = { platform: this.#platform, logger: this.#logger, owner, auditLog, isWritable }
    this.#core = await openCore(this.#folder, this.#settings, shell)
    return this.#core
  }

  async #listen(): Promise<void> {
    const { host, port, secure, admin, metrics } = this.#settings
    const accept = (connection: Connection): void => this.#accept(connection)
    const facts = (): ServerFacts | undefined => this.#core?.facts
    const { network } = this.#platform
    const onRenewalFailed = (error: unknown): void =>
      this.#logger.log('warn', 'TLS goes on with the certificates it had', { error })
    if (secure?.only !== true) {
      const opening =
        secure?.onPlainPort === true
          ? listenUnified(secure.tls, { host, port }, accept, onRenewalFailed)
          : network.listen({ host, port }, accept)
      this.#plain = await this.#opened(opening)
    }
    if (secure?.port !== undefined) {
      const endpoint = { host: secure.host ?? host, port: secure.port }
      this.#secure = await this.#opened(tlsNetwork(secure.tls, onRenewalFailed).listen(endpoint, accept))
    }
    if (admin === undefined && metrics === undefined) return
    // Loaded only now: a server without pages is ready sooner.
    const { serveAdmin, serveMetrics } = await import('./admin/admin-pages.ts')
    if (metrics !== undefined) this.#metrics = await this.#opened(serveMetrics(metrics, facts, this.#logger))
    if (admin === undefined) return
    const { isOptional = false, ...options } = admin
    try {
      const actions: DataActions = {
        takeSnapshot: () => this.#writableCore().snapshots.takeExact(),
        restore: snapshot => this.#restore(snapshot),
      }
      this.#admin = await this.#opened(serveAdmin(options, facts, { logger: this.#logger, actions }))
    } catch (error) {
      if (!isOptional) throw error
      this.#logger.log('warn', 'the server goes on without its pages', { error })
    }
  }

  /** Remembers that it is to be closed. */
  async #opened(opening: Promise<Listener>): Promise<Listener> {
    const listener = await opening
    this.#listeners.push(listener)
    return listener
  }

  #accept(connection: Connection): void {
    const pipeline = this.#core?.pipeline
    if (pipeline === undefined) return connection.destroy()
    pipeline.add(new ClientConnection(connection, pipeline, this.#platform.clock.wallMs()))
  }

  /** Where it listens; the port with TLS where there is no other. */
  get endpoint(): Endpoint {
    return (this.#plain ?? this.#secure)!.endpoint
  }

  /** Where it listens with TLS, if it does. */
  get secureEndpoint(): Endpoint | undefined {
    return this.#secure?.endpoint
  }

  /** Where the commands are served over HTTP, if they are. */
  get adminEndpoint(): Endpoint | undefined {
    return this.#admin?.endpoint
  }

  /** Where the metrics alone are served over HTTP, if they are. */
  get metricsEndpoint(): Endpoint | undefined {
    return this.#metrics?.endpoint
  }

  /** `host:port`, for `ZooKeeper.connect`. */
  get connectString(): string {
    return formatEndpoint(this.endpoint)
  }

  /** The tree as it was right after a transaction that is still in the logs; throws `UsageError` where they do not reach. */
  async treeAt(zxid: number): Promise<PastTree> {
    this.#lifecycle.assertOpen()
    await this.#core?.commit.drain()
    const { dataLogDir } = this.#settings
    const { disk, path } = this.#folder
    return readTreeAt(path, zxid, dataLogDir === undefined ? { disk } : { disk, dataLogDir })
  }

  /**
   * Ends a session at once, as if nothing had been heard of it for its timeout: its ephemeral znodes go, and so does its
   * connection. `false` where there is no such session. For tests of what programs do then.
   */
  expireSession(sessionId: bigint): boolean {
    this.#lifecycle.assertOpen()
    return this.#core?.pipeline.expireSession(sessionId) ?? false
  }

  /**
   * Lets the next sequential znode below `path` have this number, to try what happens where the numbers wrap, after
   * 2147483647. `false` where there is no such znode. For tests: the log does not know of it.
   */
  presetSequence(path: string, next: number): boolean {
    this.#lifecycle.assertOpen()
    return this.#core?.state.tree.presetSequence(path, next) ?? false
  }

  /** Ends every connection, while the sessions live on; returns how many there were. For tests. */
  dropConnections(): number {
    this.#lifecycle.assertOpen()
    const clients = [...(this.#core?.pipeline.clients ?? [])]
    for (const client of clients) client.destroy()
    return clients.length
  }

  /** Ends every connection, finishes the log, and gives the folder free. Sessions live on in the log. */
  close(): Promise<void> {
    return this.#lifecycle.close(() => this.#shutDown())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #shutDown(): Promise<void> {
    this.#auditLog?.serverStops()
    for (const timer of this.#timers) timer.cancel()
    this.#idleTimer?.cancel()
    const stopped = this.#listeners.map(listener => listener.close())
    await this.#restoring
    await this.#recovering
    if (this.#core !== undefined) await closeCore(this.#core)
    // The disk may have refused the last words just now.
    await this.#recovering
    await Promise.all(stopped)
    await removeAddressFile(this.#platform.disk, this.#folder.path)
    await this.#lock?.release()
    this.#ended.resolve()
  }

  /**
   * The log could not be written. What memory has beyond it was promised to nobody, so the state is read again from the
   * disk; reads go on, writes are refused, until the disk takes writes again.
   */
  async #onDiskFailure(error: unknown): Promise<void> {
    const failed = this.#core
    // While a tree is being restored there is none to go on with: the folder is read again in any case.
    if (failed === undefined) return
    this.#core = undefined
    failed.pipeline.stop()
    await failed.snapshots.end()
    try {
      await failed.log.abandon()
      if (this.#lifecycle.state !== 'started') return
      await this.#open(false)
      this.#logger.log('error', 'the disk refuses writes; reads go on', { error })
      this.#awaitDisk()
    } catch (failure) {
      this.#giveUp(failure)
    }
  }

  #writableCore(): ServerCore {
    if (this.#core?.pipeline.isWritable === true && this.#lifecycle.state === 'started') return this.#core
    throw new UsageError('the server takes no writes now')
  }

  /**
   * Puts the tree of a snapshot in the place of the present one, and resolves to its zxid when that is durable. It is read
   * while clients are served, so that what cannot be restored costs nobody anything. All sessions end: their clients
   * connect again and are told so, because the ephemeral znodes and watches of none of them are there any more.
   */
  async #restore(snapshot: AsyncIterable<Uint8Array>): Promise<number> {
    if (this.#restoring !== undefined) throw new UsageError('another snapshot is being restored')
    const restored = this.#receive(snapshot)
    const ended = (): void => {
      this.#restoring = undefined
    }
    this.#restoring = restored.then(ended, ended)
    return restored
  }

  async #receive(snapshot: AsyncIterable<Uint8Array>): Promise<number> {
    const { tickTimeMs, snapshotCompression } = this.#settings
    // Loaded only now, because few servers ever need it.
    const { receiveSnapshot, replaceTree } = await import('./restore.ts')
    const received = await receiveSnapshot(this.#folder, snapshot, tickTimeMs)
    const core = this.#writableCore()
    this.#core = undefined
    let zxid: number
    try {
      await closeCore(core)
      zxid = await replaceTree(this.#folder, received, core.state.lastZxid, snapshotCompression)
    } finally {
      // Whichever tree the folder has now, as after a start.
      await this.#open(true).catch((error: unknown) => this.#giveUp(error))
    }
    this.#logger.log('warn', 'a snapshot was restored', { zxid, znodes: received.state.tree.size })
    return zxid
  }

  #giveUp(error: unknown): void {
    this.#logger.log('error', 'the data folder cannot be read', { error })
    this.#ended.reject(error)
    void this.close()
  }

  /** Tries each tick, with a file of its own, whether the disk takes writes. */
  #awaitDisk(): void {
    const timer = this.#platform.clock.setTimer(this.#settings.tickTimeMs, () => {
      this.#timers.delete(timer)
      void this.#folder.isWritable().then(isWritable => {
        if (this.#lifecycle.state !== 'started') return
        if (!isWritable) return this.#awaitDisk()
        this.#logger.log('info', 'the disk takes writes again')
        this.#core?.pipeline.acceptWrites()
      })
    })
    this.#timers.add(timer)
  }

  /** Counts the time without anybody. */
  #onSessionsConnected(count: number): void {
    const { idleExitMs } = this.#settings
    this.#idleTimer?.cancel()
    if (idleExitMs === undefined || count > 0 || this.#lifecycle.state !== 'started') return
    this.#idleTimer = this.#platform.clock.setTimer(idleExitMs, () => void this.close())
  }

  /**
   * Ends sessions as soon as their time is up. One that is made meanwhile lives for a tick, or for the shortest timeout, so
   * to look again after that is soon enough.
   */
  #expireInTime(): void {
    const { tickTimeMs, minSessionTimeoutMs } = this.#settings
    const core = this.#core
    let waitMs = Math.min(tickTimeMs, minSessionTimeoutMs)
    // While the disk refuses writes no session ends, and whatever is due stays so.
    if (core?.pipeline.isWritable === true) {
      const dueInMs = core.state.sessions.nextExpiryMs - this.#platform.clock.nowMs()
      waitMs = Math.max(0, Math.min(waitMs, dueInMs))
    }
    this.#after(waitMs, () => {
      // What has arrived by now is heard before anybody's time is up.
      setImmediate(() => {
        this.#core?.pipeline.expireSessions()
        this.#expireInTime()
      })
    })
  }

  #every(intervalMs: number, action: () => void): void {
    this.#after(intervalMs, () => {
      this.#every(intervalMs, action)
      action()
    })
  }

  /** Unless the server ends before. */
  #after(delayMs: number, action: () => void): void {
    if (this.#lifecycle.state !== 'started') return
    const timer = this.#platform.clock.setTimer(delayMs, () => {
      this.#timers.delete(timer)
      if (this.#lifecycle.state === 'started') action()
    })
    this.#timers.add(timer)
  }
}
