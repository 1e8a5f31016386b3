import { EventType, parentPath, type SetWatches2Request } from '@conclave/protocol'
import type { WatchedEvent, Watcher } from './watched-event.ts'

/**
 * The lists in which a server keeps one-shot watches: on the data of a znode that exists, on the existence of one
 * that does not, on a list of children.
 */
export type OneShotKind = 'data' | 'exist' | 'child'

/** And those that stay: on one znode, and on one and all below it. */
export type PersistentKind = 'persistent' | 'persistentRecursive'

export type WatchKind = OneShotKind | PersistentKind

const ONE_SHOT_KINDS = ['data', 'exist', 'child'] as const
const KINDS = [...ONE_SHOT_KINDS, 'persistent', 'persistentRecursive'] as const

type Watchers = Map<string, Set<Watcher>>

/** How many bytes of paths one `setWatches` may carry, so that each frame stays far below the server's limit. */
const SET_WATCHES_BYTES = 128 * 1024

const EVENT_NAMES = new Map<number, Exclude<WatchedEvent['type'], 'sessionLost'>>([
  [EventType.nodeCreated, 'nodeCreated'],
  [EventType.nodeDeleted, 'nodeDeleted'],
  [EventType.nodeDataChanged, 'nodeDataChanged'],
  [EventType.nodeChildrenChanged, 'nodeChildrenChanged'],
])

/** Which one-shot lists an event takes its watchers from. */
const FIRED_KINDS: Record<Exclude<WatchedEvent['type'], 'sessionLost'>, readonly OneShotKind[]> = {
  nodeCreated: ['data', 'exist'],
  nodeDeleted: ['data', 'exist', 'child'],
  nodeDataChanged: ['data', 'exist'],
  nodeChildrenChanged: ['child'],
}

/** The watches of a session, by the paths of the wire: the server forgets them with the connection, this does not. */
export class WatchRegistry {
  readonly #byKind: Readonly<Record<WatchKind, Watchers>> = {
    data: new Map(),
    exist: new Map(),
    child: new Map(),
    persistent: new Map(),
    persistentRecursive: new Map(),
  }

  /** How many watches are set. */
  get size(): number {
    let size = 0
    for (const watchers of Object.values(this.#byKind)) {
      for (const set of watchers.values()) size += set.size
    }
    return size
  }

  /** The same watcher at the same place counts once. */
  add(kind: WatchKind, path: string, watcher: Watcher): void {
    const watchers = this.#byKind[kind]
    const set = watchers.get(path)
    if (set === undefined) watchers.set(path, new Set([watcher]))
    else set.add(watcher)
  }

  /**
   * Takes the watchers that an event of the wire is for, and what they are to be told; empty for an unknown event.
   * See `takeChildWatchers` for those that an event has besides.
   */
  take(eventType: number, path: string): { type: WatchedEvent['type']; watchers: readonly Watcher[] } {
    const type = EVENT_NAMES.get(eventType)
    if (type === undefined) return { type: 'sessionLost', watchers: [] }
    const taken = new Set<Watcher>()
    for (const kind of FIRED_KINDS[type]) {
      for (const watcher of this.#byKind[kind].get(path) ?? []) taken.add(watcher)
      this.#byKind[kind].delete(path)
    }
    for (const watcher of this.#byKind.persistent.get(path) ?? []) taken.add(watcher)
    if (type !== 'nodeChildrenChanged') this.#addRecursive(path, taken)
    return { type, watchers: [...taken] }
  }

  /**
   * Takes the watchers of the list of children above a created or deleted znode, where a recursive watch on the parent
   * stands in for them: the server sends no event of lists for it.
   */
  takeChildWatchers(eventType: number, path: string): { parent: string; watchers: readonly Watcher[] } {
    const parent = path === '/' ? path : parentPath(path)
    const isListChange = eventType === EventType.nodeCreated || eventType === EventType.nodeDeleted
    if (!isListChange || path === '/' || !this.has('persistentRecursive', parent)) {
      return { parent, watchers: [] }
    }
    const watchers = [...(this.#byKind.child.get(parent) ?? [])]
    this.#byKind.child.delete(parent)
    return { parent, watchers }
  }

  /** The recursive watches at a path and above it; they are not told of lists of children. */
  #addRecursive(path: string, into: Set<Watcher>): void {
    const { persistentRecursive } = this.#byKind
    if (persistentRecursive.size === 0) return
    for (let at = path; ; at = parentPath(at)) {
      for (const watcher of persistentRecursive.get(at) ?? []) into.add(watcher)
      if (at === '/') return
    }
  }

  /** Whether a watch of that kind is set at a path. */
  has(kind: WatchKind, path: string): boolean {
    return this.#byKind[kind].has(path)
  }

  /** Whether a watch that stays is set at exactly this path. */
  hasPersistent(path: string): boolean {
    return this.has('persistent', path) || this.has('persistentRecursive', path)
  }

  /** Whether there are one-shot watches at a path. */
  hasOneShot(path: string, which: 'data' | 'children' | 'any'): boolean {
    const onData = this.has('data', path) || this.has('exist', path)
    return (which !== 'children' && onData) || (which !== 'data' && this.has('child', path))
  }

  /** Drops one watch that stays; `true` when it was the last of its kind at that path. */
  removePersistent(kind: PersistentKind, path: string, watcher: Watcher): boolean {
    const set = this.#byKind[kind].get(path)
    if (set?.delete(watcher) !== true || set.size > 0) return false
    this.#byKind[kind].delete(path)
    return true
  }

  /** Drops all that stay, without a word. */
  dropPersistent(): void {
    this.#byKind.persistent.clear()
    this.#byKind.persistentRecursive.clear()
  }

  /** Drops the watches at a path without a word. */
  remove(path: string, which: 'data' | 'children' | 'any'): void {
    if (which !== 'children') {
      this.#byKind.data.delete(path)
      this.#byKind.exist.delete(path)
    }
    if (which !== 'data') this.#byKind.child.delete(path)
  }

  /** Takes every one-shot watch, path by path: those that stay are set again in the next session. */
  takeAll(): readonly (readonly [path: string, watcher: Watcher])[] {
    const taken = new Map<string, Set<Watcher>>()
    for (const kind of ONE_SHOT_KINDS) {
      const watchers = this.#byKind[kind]
      for (const [path, set] of watchers) taken.set(path, new Set([...(taken.get(path) ?? []), ...set]))
      watchers.clear()
    }
    return [...taken].flatMap(([path, set]) => [...set].map(watcher => [path, watcher] as const))
  }

  /** The requests that set watches again, all or those of one path, each with a bounded number of bytes. */
  *toSetWatches(relativeZxid: bigint, onlyPath?: string): Generator<SetWatches2Request> {
    let paths = noPaths()
    let bytes = 0
    const request = (): SetWatches2Request => ({
      relativeZxid,
      dataWatches: paths.data,
      existWatches: paths.exist,
      childWatches: paths.child,
      persistentWatches: paths.persistent,
      persistentRecursiveWatches: paths.persistentRecursive,
    })
    for (const kind of KINDS) {
      for (const path of this.#byKind[kind].keys()) {
        if (onlyPath !== undefined && path !== onlyPath) continue
        const pathBytes = 4 + Buffer.byteLength(path)
        if (bytes > 0 && bytes + pathBytes > SET_WATCHES_BYTES) {
          yield request()
          paths = noPaths()
          bytes = 0
        }
        paths[kind].push(path)
        bytes += pathBytes
      }
    }
    if (bytes > 0) yield request()
  }
}

function noPaths(): Record<WatchKind, string[]> {
  return { data: [], exist: [], child: [], persistent: [], persistentRecursive: [] }
}
