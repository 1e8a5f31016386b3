import { UsageError, type Endpoint } from '@conclave/core'
import {
  createModeToFlags,
  hasTtl,
  isSequential,
  OPEN_ACL,
  type Acl,
  type CreateMode,
  type Stat,
} from '@conclave/protocol'
import * as calls from './calls.ts'
import { Chroot } from './chroot.ts'
import type { ConnectionState, SessionInfo, StateChange } from './connection-state.ts'
import { createProtected } from './create-protected.ts'
import { toBytes, type Data } from './data.ts'
import { deleteRecursive } from './delete-recursive.ts'
import { ensurePath } from './ensure-path.ts'
import { AbortedError, SessionExpiredError } from './errors.ts'
import { toHostProvider, type ConnectTarget } from './host-provider.ts'
import { toMultiOp, type MultiResult, type TransactionOp } from './multi.ts'
import { resolveOptions, type ConnectOptions, type ResolvedOptions } from './options.ts'
import { Session } from './session.ts'
import { StateHistory } from './state-history.ts'
import type { Watcher } from './watched-event.ts'

/** Taken by every request. */
export interface RequestOptions {
  /** Ends the wait with an `AbortedError`; a request that was sent is not taken back by it. */
  readonly signal?: AbortSignal | undefined
}

export interface ReadOptions extends RequestOptions {
  /** Left as a one-shot watch: called once, at the next change of what was read. */
  readonly watch?: Watcher | undefined
}

export interface WriteOptions extends RequestOptions {
  /** The version that the data must have, `ANY_VERSION` (the default) for any. */
  readonly expectedVersion?: number | undefined
}

export interface CreateOptions extends RequestOptions {
  /** Default `persistent`. */
  readonly mode?: CreateMode | undefined
  /** Default `OPEN_ACL`: everybody may do everything. */
  readonly acl?: readonly Acl[] | undefined
  /** For the modes with a time to live: how long without children and changes it stays, in milliseconds. */
  readonly ttlMs?: number | undefined
}

/** As `expectedVersion`: whatever the version is. */
export const ANY_VERSION = -1

/**
 * A ZooKeeper session. Requests are sent in the order of the calls and answered in that order. While the connection
 * is away, requests wait for the next; reads that were under way are sent again, writes end with a
 * `ConnectionLossError` whose `outcome` is `unknown`.
 */
export class ZooKeeper {
  readonly #session: Session
  readonly #chroot: Chroot
  readonly #options: ResolvedOptions
  readonly #history: StateHistory

  private constructor(target: ConnectTarget, options: ResolvedOptions) {
    const { hosts, chroot } = toHostProvider(target, options.platform)
    this.#options = options
    this.#chroot = new Chroot(new Chroot(chroot).prepend(options.chroot))
    this.#session = new Session(hosts, this.#chroot, options)
    this.#history = new StateHistory({ state: 'connecting' })
    this.#session.events.on('state', change => this.#history.add(change))
  }

  /**
   * Resolves with a confirmed session. Rejects with `ConnectionLossError` when no server answered within
   * `establishTimeoutMs`, with `SessionExpiredError` when the session to attach to is gone, with `AuthFailedError`
   * when the credentials were refused.
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
        off()
        timer.cancel()
        signal?.removeEventListener('abort', onAbort)
        if (error === undefined) return resolve()
        void this.close().then(() => reject(error))
      }
      const onAbort = (): void => finish(new AbortedError({ operation: 'connect', cause: signal?.reason }))
      const off = this.#session.events.on('state', change => {
        if (change.state === 'connected' || change.state === 'readOnly') finish()
        if (change.state === 'lost') finish(new SessionExpiredError({ operation: 'connect' }))
      })
      const timer = platform.clock.setTimer(establishTimeoutMs, () =>
        finish(this.#session.unreachable(this.#session.machine.lastFailure)),
      )
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#session.start()
    })
  }

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
   * the sending of the last request that was answered, plus the session timeout.
   */
  get sessionDeadlineMs(): number {
    return this.#session.sessionDeadlineMs
  }

  /** What it was given, with defaults: recipes use the same clock and randomness. */
  get platform(): ResolvedOptions['platform'] {
    return this.#options.platform
  }

  /** Calls back at every change of state; the function returned ends that. */
  on(name: 'state', listener: (change: StateChange) => void): () => void {
    return this.#session.events.on(name, listener)
  }

  /**
   * The present state and every change from now on, until `closed`. A consumer that falls far behind gets the newest
   * changes; `missed` says how many it did not get.
   */
  states(): AsyncIterableIterator<StateChange & { readonly missed: number }> {
    return this.#history.follow()
  }

  /** Makes a znode; the path returned has the sequence number of a sequential one. */
  async create(
    path: string,
    data: Data = null,
    options: CreateOptions = {},
  ): Promise<{ path: string; stat: Stat }> {
    const { mode = 'persistent', acl = OPEN_ACL, ttlMs, signal } = options
    const record = {
      path: this.#chroot.prepend(path),
      data: toBytes(data),
      acl,
      flags: createModeToFlags(mode),
    }
    const submit = { path, sequential: isSequential(mode), signal }
    if (hasTtl(mode)) {
      if (ttlMs === undefined || ttlMs <= 0) throw new UsageError(`a ${mode} znode needs ttlMs above 0`)
      return this.#session.submit(calls.createTtlCall, { ...record, ttlMs }, submit)
    }
    if (ttlMs !== undefined) throw new UsageError(`a ${mode} znode has no ttlMs`)
    const call = mode === 'container' ? calls.createContainerCall : calls.createCall
    return this.#session.submit(call, record, submit)
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

  delete(path: string, options: WriteOptions = {}): Promise<void> {
    const { expectedVersion = ANY_VERSION, signal } = options
    const request = { path: this.#chroot.prepend(path), version: expectedVersion }
    return this.#session.submit(calls.deleteCall, request, { path, signal })
  }

  /** The stat, or `null` where there is no such znode. A watch fires at creation, change of data and deletion. */
  exists(path: string, options: ReadOptions = {}): Promise<Stat | null> {
    return this.#read(calls.existsCall, path, options)
  }

  /**
   * The data, `null` where there is none, and the stat. A watch fires at change of data and deletion; none is left
   * where the znode does not exist. The buffer is the caller's to keep.
   */
  getData(path: string, options: ReadOptions = {}): Promise<{ data: Buffer | null; stat: Stat }> {
    return this.#read(calls.getDataCall, path, options)
  }

  setData(path: string, data: Data, options: WriteOptions = {}): Promise<Stat> {
    const { expectedVersion = ANY_VERSION, signal } = options
    const request = { path: this.#chroot.prepend(path), data: toBytes(data), version: expectedVersion }
    return this.#session.submit(calls.setDataCall, request, { path, signal })
  }

  /** The names of the children, in no order. A watch fires when that list changes and at deletion. */
  getChildren(path: string, options: ReadOptions = {}): Promise<{ children: readonly string[]; stat: Stat }> {
    return this.#read(calls.getChildrenCall, path, options)
  }

  #read<Response, Result>(
    call: calls.Call<{ path: string; watch: boolean }, Response, Result>,
    path: string,
    { watch, signal }: ReadOptions,
  ): Promise<Result> {
    const request = { path: this.#chroot.prepend(path), watch: watch !== undefined }
    return this.#session.submit(call, request, { path, watcher: watch, signal })
  }

  /** Brings the server up to date with the ensemble's leader: reads after it see all that was done before it. */
  sync(path: string = '/', options: RequestOptions = {}): Promise<void> {
    return this.#session.submit(
      calls.syncCall,
      { path: this.#chroot.prepend(path) },
      { path, signal: options.signal },
    )
  }

  /** Several writes as one transaction: all are applied, or none and a `MultiError` says which one failed and why. */
  async multi(ops: readonly TransactionOp[], options: RequestOptions = {}): Promise<MultiResult[]> {
    const request = { ops: ops.map(op => toMultiOp(op, this.#chroot)) }
    return this.#session.submit(calls.multiCall, request, { signal: options.signal })
  }

  /** Makes a persistent znode, and those above it, where they do not exist: also those of the chroot. */
  ensurePath(path: string, options: Omit<CreateOptions, 'mode' | 'ttlMs'> = {}): Promise<void> {
    const { acl = OPEN_ACL, signal } = options
    const submit = { path, signal }
    return ensurePath(
      {
        exists: async at =>
          (await this.#session.submit(calls.existsCall, { path: at, watch: false }, submit)) !== null,
        create: at => this.#session.submit(calls.createCall, { path: at, data: null, acl, flags: 0 }, submit),
      },
      this.#chroot.prepend(path),
    )
  }

  /** Removes a znode and all below it, where it exists; not as one transaction. */
  deleteRecursive(path: string, options: RequestOptions = {}): Promise<void> {
    return deleteRecursive(this, path, options)
  }

  /**
   * Ends the session, after the requests made before, and with it its ephemeral znodes. Resolves when a server has
   * confirmed it, or when none could be told within `closeTimeoutMs`: the session then ends by its timeout.
   */
  close(): Promise<void> {
    return this.#session.close(calls.closeSessionCall)
  }

  /** Ends the connection but not the session, which `ConnectOptions.session` can attach to until it times out. */
  detach(): Promise<void> {
    return this.#session.detach()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
