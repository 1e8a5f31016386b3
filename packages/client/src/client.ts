import { UsageError, type Endpoint } from '@conclave/core'
import type { Stat } from '@conclave/protocol'
import { Chroot } from './chroot.ts'
import { parseConnectString } from './connect-string.ts'
import type { ConnectionState, SessionInfo, StateChange } from './connection-state.ts'
import { createProtected } from './create-protected.ts'
import type { Data } from './data.ts'
import { deleteRecursive } from './delete-recursive.ts'
import { AbortedError, SessionExpiredError } from './errors.ts'
import { StaticHostProvider, toHostProvider, type ConnectTarget, type HostProvider } from './host-provider.ts'
import type { ClientMetrics } from './metrics.ts'
import { Operations, type CreateOptions, type RequestOptions } from './operations.ts'
import { resolveOptions, type ConnectOptions, type ResolvedOptions } from './options.ts'
import { Session, type ClientEvents } from './session.ts'
import { StateHistory } from './state-history.ts'

/**
 * A ZooKeeper session. Requests are sent in the order of the calls and answered in that order. While the connection
 * is away, requests wait for the next; reads that were under way are sent again, writes end with a
 * `ConnectionLossError` whose `outcome` is `unknown`.
 */
export class ZooKeeper extends Operations {
  readonly #session: Session
  readonly #options: ResolvedOptions
  readonly #history: StateHistory
  readonly #hosts: HostProvider

  private constructor(target: ConnectTarget, options: ResolvedOptions) {
    const { hosts, chroot } = toHostProvider(target, options.platform)
    const root = new Chroot(new Chroot(chroot).prepend(options.chroot))
    const session = new Session(hosts, root, options)
    super(session, root, options)
    this.#options = options
    this.#hosts = hosts
    this.#session = session
    this.#history = new StateHistory({ state: 'connecting' })
    this.#session.events.on('state', change => this.#history.add(change))
  }

  /**
   * Resolves with a confirmed session. Rejects with `ConnectionLossError` when no server answered within
   * `establishTimeoutMs`, with `SessionExpiredError` when the session to attach to is gone, with `AuthFailedError`
   * when the credentials were refused, with the `UsageError` of a host provider that cannot find servers at all.
   */
  static async connect(target: ConnectTarget, options: ConnectOptions = {}): Promise<ZooKeeper> {
    const zk = new ZooKeeper(target, resolveOptions(options))
    await zk.#open()
    return zk
  }

  async #open(): Promise<void> {
    const { signal, establishTimeoutMs, platform } = this.#options
    if (signal?.aborted === true) throw new AbortedError({ operation: 'connect', cause: signal.reason })
    await new Promise<void>((resolve, reject) => {
      const finish = (error?: Error): void => {
        for (const off of offs) off()
        timer.cancel()
        signal?.removeEventListener('abort', onAbort)
        if (error === undefined) return resolve()
        void this.close().then(() => reject(error))
      }
      const onAbort = (): void => finish(new AbortedError({ operation: 'connect', cause: signal?.reason }))
      const offs = [
        this.#session.events.on('state', change => {
          if (change.state === 'connected' || change.state === 'readOnly') finish()
          if (change.state === 'lost') finish(new SessionExpiredError({ operation: 'connect' }))
        }),
        this.#session.events.on('unresolvable', error => {
          // There is no server that could be told of an end.
          void this.detach()
          finish(error)
        }),
      ]
      const timer = platform.clock.setTimer(establishTimeoutMs, () =>
        finish(this.#session.unreachable(this.#session.machine.lastFailure)),
      )
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#session.start()
    })
    await this.#session.authenticated()
  }

  /** Where the client stands now; `states` and the event `state` tell how it changes. */
  get state(): ConnectionState {
    return this.#session.machine.state
  }

  /** The present session; after `lost`, the old one until there is a new one. */
  get session(): SessionInfo {
    const { session } = this.#session.machine
    if (session === undefined) throw new UsageError('there is no session yet')
    return session
  }

  /** The server, by its address, that the session is connected to now; `undefined` while it is to none. */
  get endpoint(): Endpoint | undefined {
    return this.#session.endpoint
  }

  /**
   * Until when the server cannot have let the session expire, on the platform's monotonic clock, in milliseconds:
   * the sending of the last request that was answered, plus the session timeout. With `maxStallMs` it also ends that
   * long after the event loop last turned, and is true to fact even while that is blocked.
   */
  get sessionDeadlineMs(): number {
    return this.#session.sessionDeadlineMs
  }

  /** What was done so far. Each request and change of state is also told on a diagnostics channel. */
  get metrics(): ClientMetrics {
    return this.#session.pipeline.metrics
  }

  /** What it was given, with defaults: recipes use the same clock and randomness. */
  get platform(): ResolvedOptions['platform'] {
    return this.#options.platform
  }

  /** Calls back at every event of that name; the function returned ends that. */
  on<Name extends keyof ClientEvents>(name: Name, listener: (event: ClientEvents[Name]) => void): () => void {
    return this.#session.events.on<Name>(name, listener)
  }

  /**
   * The present state and every change from now on, until `closed`. A consumer that falls far behind gets the newest
   * changes; `missed` says how many it did not get.
   */
  states(): AsyncIterableIterator<StateChange & { readonly missed: number }> {
    return this.#history.follow()
  }

  /**
   * As `create`, for the sequential modes, with a name that no other call uses: `_c_<guid>-<name>`, Curator's form.
   * When the answer is lost with the connection, it looks for that name and so never leaves an orphan behind.
   */
  createProtected(
    path: string,
    data: Data = null,
    options: CreateOptions = {},
  ): Promise<{ path: string; stat: Stat }> {
    return createProtected(this, path, data, options)
  }

  /** Removes a znode and all below it, where it exists; not as one transaction. */
  deleteRecursive(path: string, options: RequestOptions = {}): Promise<void> {
    return deleteRecursive(this, path, options)
  }

  /**
   * Takes another list of servers, whose chroot is not looked at. Where the load should be spread anew, the client moves,
   * within its session and with all that is under way answered first; the probability is that of Apache ZooKeeper's
   * clients, so that together they end up evenly spread.
   */
  updateServers(connectString: string): void {
    if (!(this.#hosts instanceof StaticHostProvider)) {
      throw new UsageError('only a list of servers can be updated, not what a host provider finds')
    }
    const { endpoints } = parseConnectString(connectString)
    if (this.#hosts.update(endpoints, this.endpoint)) this.#session.move()
  }

  /** Makes another connection within the session: after a change of certificates, or to come to another server. */
  reconnect(): void {
    this.#session.move()
  }

  /**
   * Ends the session, after the requests made before, and with it its ephemeral znodes. Resolves when a server has
   * confirmed it, or when none could be told within `closeTimeoutMs`: the session then ends by its timeout.
   */
  close(): Promise<void> {
    return this.#session.close()
  }

  /** Ends the connection but not the session, which `ConnectOptions.session` can attach to until it times out. */
  detach(): Promise<void> {
    return this.#session.detach()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
