import { UsageError } from '@conclave/core'
import {
  createModeToFlags,
  isCreateMode,
  hasTtl,
  isSequential,
  OPEN_ACL,
  WatcherType,
  type Acl,
  type ClientInfo,
  type CreateMode,
  type Stat,
  type WatchesRequest,
} from '@conclave/protocol'
import * as calls from './calls.ts'
import type { Chroot } from './chroot.ts'
import { toBytes, type Data } from './data.ts'
import { ensurePath } from './ensure-path.ts'
import { isThere } from './is-there.ts'
import { toMultiOp, type MultiResult, type TransactionOp } from './multi.ts'
import type { MultiReadOp, MultiReadResult } from './multi-read.ts'
import { PersistentWatch, type PersistentWatchOptions } from './persistent-watch.ts'
import { NoWatcherError } from './server-errors.ts'
import type { Session } from './session.ts'
import { walk, type WalkedZnode } from './walk.ts'
import type { Watcher } from './watched-event.ts'

/** Taken by every request. */
export interface RequestOptions {
  /** Ends the wait with an `AbortedError`; a request that was sent is not taken back by it. */
  readonly signal?: AbortSignal | undefined
}

/**
 * How new what is read must be. `session`: not older than anything this session has seen. `fresh`: not older than what
 * the ensemble's leader had when the read reached it, which a leader that was just deposed may not know better.
 * `linearizable`: not older than anything that was confirmed to anybody before the read began; costs a write.
 */
export type ReadLevel = 'session' | 'fresh' | 'linearizable'

export interface ReadOptions extends RequestOptions {
  /** Default `session`. */
  readonly level?: ReadLevel | undefined
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

/** Which of the watches at a path: those on its data or existence, those on its list of children, or both. */
export type WatchSelection = 'data' | 'children' | 'any'

/** A change of an ensemble's members: either whole (`members`), or by difference. */
export interface Reconfiguration {
  /** Servers to add or change, `server.5=host:2888:3888;2181`, comma-separated. */
  readonly joiningServers?: string | undefined
  /** Ids of servers to remove, comma-separated. */
  readonly leavingServers?: string | undefined
  /** All members of the new ensemble. */
  readonly newMembers?: string | undefined
  /** The version that the present configuration must have. Default any. */
  readonly fromConfig?: bigint | undefined
}

/** Where a server keeps the configuration of its ensemble, outside any chroot. */
const CONFIG_PATH = '/zookeeper/config'

/** What a client can ask of a server: ZooKeeper's operations, one method each. */
export abstract class Operations {
  readonly #session: Session
  readonly #chroot: Chroot

  /** See `ConnectOptions.retryWrites`. */
  readonly #retryWrites: boolean

  protected constructor(
    session: Session,
    chroot: Chroot,
    { retryWrites }: { readonly retryWrites: boolean },
  ) {
    this.#session = session
    this.#chroot = chroot
    this.#retryWrites = retryWrites
  }

  /** Makes a znode; the path returned has the sequence number of a sequential one. */
  create(
    path: string,
    data: Data = null,
    options: CreateOptions = {},
  ): Promise<{ path: string; stat: Stat }> {
    const { mode = 'persistent', acl = OPEN_ACL, ttlMs, signal } = options
    if (!isCreateMode(mode)) return Promise.reject(new UsageError(`there is no mode ${String(mode)}`))
    const record = {
      path: this.#chroot.prepend(path),
      data: toBytes(data),
      acl,
      flags: createModeToFlags(mode),
    }
    const submit = { path, sequential: isSequential(mode), signal }
    if (hasTtl(mode)) {
      if (ttlMs === undefined || ttlMs <= 0) {
        return Promise.reject(new UsageError(`a ${mode} znode needs ttlMs above 0`))
      }
      return this.#session.pipeline.submit(calls.createTtlCall, { ...record, ttlMs }, submit)
    }
    if (ttlMs !== undefined) return Promise.reject(new UsageError(`a ${mode} znode has no ttlMs`))
    const call = mode === 'container' ? calls.createContainerCall : calls.createCall
    return this.#session.pipeline.submit(call, record, submit)
  }

  delete(path: string, options: WriteOptions = {}): Promise<void> {
    const { expectedVersion = ANY_VERSION, signal } = options
    const request = { path: this.#chroot.prepend(path), version: expectedVersion }
    const call = this.#mayRepeat(expectedVersion) ? calls.repeatableDeleteCall : calls.deleteCall
    return this.#session.pipeline.submit(call, request, { path, signal })
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
    const call = this.#mayRepeat(expectedVersion) ? calls.repeatableSetDataCall : calls.setDataCall
    return this.#session.pipeline.submit(call, request, { path, signal })
  }

  /** A write that expects a version fails the second time when it succeeded the first. */
  #mayRepeat(expectedVersion: number): boolean {
    return this.#retryWrites && expectedVersion === ANY_VERSION
  }

  /** The names of the children, in no order. A watch fires when that list changes and at deletion. */
  getChildren(path: string, options: ReadOptions = {}): Promise<{ children: readonly string[]; stat: Stat }> {
    return this.#read(calls.getChildrenCall, path, options)
  }

  #read<Response, Result>(
    call: calls.Call<{ path: string; watch: boolean }, Response, Result>,
    path: string,
    { watch, level, signal }: ReadOptions,
  ): Promise<Result> {
    if (watch !== undefined && typeof watch !== 'function') {
      return Promise.reject(new UsageError('watch is the function to call with the event'))
    }
    const request = { path: this.#chroot.prepend(path), watch: watch !== undefined }
    const options = { path, watcher: watch, signal }
    if (level === undefined || level === 'session')
      return this.#session.pipeline.submit(call, request, options)
    // Requests of a session take effect in order, so the read need not wait for what goes before it.
    const barrier = this.#barrier(level, signal)
    return Promise.all([this.#session.pipeline.submit(call, request, options), barrier]).then(
      ([result]) => result,
    )
  }

  #barrier(level: 'fresh' | 'linearizable', signal: AbortSignal | undefined): Promise<unknown> {
    if (level === 'fresh') return this.#session.pipeline.submit(calls.syncCall, { path: '/' }, { signal })
    // A transaction that changes nothing, but is confirmed by a majority like any other.
    const ops = [{ op: 'check' as const, path: '/', version: ANY_VERSION }]
    return this.#session.pipeline.submit(calls.barrierCall, { ops }, { signal })
  }

  /** Brings the server up to date with the ensemble's leader: reads after it see all that was done before it. */
  sync(path: string = '/', options: RequestOptions = {}): Promise<void> {
    return this.#session.pipeline.submit(
      calls.syncCall,
      { path: this.#chroot.prepend(path) },
      { path, signal: options.signal },
    )
  }

  /** Several writes as one transaction: all are applied, or none and a `MultiError` says which one failed and why. */
  async multi(ops: readonly TransactionOp[], options: RequestOptions = {}): Promise<MultiResult[]> {
    const request = { ops: ops.map(op => toMultiOp(op, this.#chroot)) }
    return this.#session.pipeline.submit(calls.multiCall, request, { signal: options.signal })
  }

  /** Makes a persistent znode, and those above it, where they do not exist: also those of the chroot. */
  ensurePath(path: string, options: Omit<CreateOptions, 'mode' | 'ttlMs'> = {}): Promise<void> {
    const { acl = OPEN_ACL, signal } = options
    const submit = { path, signal }
    return ensurePath(
      {
        exists: at =>
          isThere(this.#session.pipeline.submit(calls.existsCall, { path: at, watch: false }, submit)),
        create: at =>
          this.#session.pipeline.submit(calls.createCall, { path: at, data: null, acl, flags: 0 }, submit),
      },
      this.#chroot.prepend(path),
    )
  }

  /**
   * A watch that stays, as an async iterator: on one znode (its creation, data, children and deletion), or on it and all
   * below it (their creation, data and deletion). Resolves when the server has it. From 3.6 on.
   */
  watch(path: string, options: PersistentWatchOptions = {}): Promise<PersistentWatch> {
    return new PersistentWatch(this, this.#session, this.#chroot, path, options).start()
  }

  /** A znode and all below it, each before those below it. Not a snapshot: the tree may change under it. */
  walk(path: string, options: RequestOptions = {}): AsyncIterableIterator<WalkedZnode> {
    return walk(this, path, options)
  }

  /** Several reads in one request, each with its own result; one that fails does not stop the others. From 3.6 on. */
  async multiRead(ops: readonly MultiReadOp[], options: RequestOptions = {}): Promise<MultiReadResult[]> {
    const request = {
      ops: ops.map(({ op, path }) => ({ op, path: this.#chroot.prepend(path), watch: false })),
    }
    return this.#session.pipeline.submit(calls.multiReadCall, request, { signal: options.signal })
  }

  getAcl(path: string, options: RequestOptions = {}): Promise<{ acl: readonly Acl[]; stat: Stat }> {
    return this.#ask(calls.getAclCall, path, options)
  }

  /** `expectedVersion` is that of the ACL, `Stat.aversion`. */
  setAcl(path: string, acl: readonly Acl[], options: WriteOptions = {}): Promise<Stat> {
    const { expectedVersion = ANY_VERSION, signal } = options
    const request = { path: this.#chroot.prepend(path), acl, version: expectedVersion }
    const call = this.#mayRepeat(expectedVersion) ? calls.repeatableSetAclCall : calls.setAclCall
    return this.#session.pipeline.submit(call, request, { path, signal })
  }

  /** Proves one more identity, now and on every further connection. A refusal ends the session. */
  async addAuth(scheme: string, auth: Uint8Array | string): Promise<void> {
    return this.#session.addAuth({ scheme, auth })
  }

  /** The identities that the session has proven. From 3.7 on. */
  whoAmI(options: RequestOptions = {}): Promise<readonly ClientInfo[]> {
    return this.#session.pipeline.submit(calls.whoAmICall, undefined, options)
  }

  /** The paths of this session's ephemeral znodes that begin with `prefix`. From 3.6 on. */
  getEphemerals(prefix: string = '/', options: RequestOptions = {}): Promise<string[]> {
    return this.#ask(calls.getEphemeralsCall, prefix, options)
  }

  /** How many znodes there are below a path, at any depth. From 3.6 on. */
  getAllChildrenNumber(path: string, options: RequestOptions = {}): Promise<number> {
    return this.#ask(calls.getAllChildrenNumberCall, path, options)
  }

  #ask<Response, Result>(
    call: calls.Call<{ path: string }, Response, Result>,
    path: string,
    { signal }: RequestOptions,
  ): Promise<Result> {
    return this.#session.pipeline.submit(call, { path: this.#chroot.prepend(path) }, { path, signal })
  }

  /** Resolves where the server has such a watch of this session, rejects with `NoWatcherError` where it has none. */
  checkWatches(path: string, which: WatchSelection, options: RequestOptions = {}): Promise<void> {
    return this.#aboutWatches(calls.checkWatchesCall, path, which, options)
  }

  /** Takes back the one-shot watches at a path; their watchers are not called. `NoWatcherError` where there is none. */
  async removeWatches(path: string, which: WatchSelection, options: RequestOptions = {}): Promise<void> {
    await this.#aboutWatches(calls.removeWatchesCall, path, which, options)
    this.#session.pipeline.forgetWatches(this.#chroot.prepend(path), which)
  }

  /** Where a watch that stays serves those that fire once, the server does not know of these. */
  async #aboutWatches(
    call: calls.Call<WatchesRequest, void, void>,
    path: string,
    which: WatchSelection,
    { signal }: RequestOptions,
  ): Promise<void> {
    const request = { path: this.#chroot.prepend(path), type: WatcherType[which] }
    const known = this.#session.pipeline.hasOneShotWatch(request.path, which)
    if (known === false) throw new NoWatcherError({ operation: call.name, path })
    if (known === undefined) await this.#session.pipeline.submit(call, request, { path, signal })
  }

  /** The ensemble's members as its configuration znode has them; nothing on a standalone server. */
  getConfig(options: ReadOptions = {}): Promise<{ data: Buffer | null; stat: Stat }> {
    const request = { path: CONFIG_PATH, watch: options.watch !== undefined }
    return this.#session.pipeline.submit(calls.getDataCall, request, {
      watcher: options.watch,
      signal: options.signal,
    })
  }

  /** Changes the ensemble's members; resolves with the new configuration. */
  async reconfig(
    change: Reconfiguration,
    options: RequestOptions = {},
  ): Promise<{ data: Buffer | null; stat: Stat }> {
    const request = {
      joiningServers: change.joiningServers ?? null,
      leavingServers: change.leavingServers ?? null,
      newMembers: change.newMembers ?? null,
      fromConfig: change.fromConfig ?? -1n,
    }
    return this.#session.pipeline.submit(calls.reconfigCall, request, { signal: options.signal })
  }
}
