import type { Acl } from '@conclave/protocol'
import { parentPath } from '@conclave/protocol'

/** Whoever is told: a connection. */
export interface Watcher {
  /** `acl` is that of the znode: who may not read it is not told. `zxid` is -1 where no transaction caused it. */
  onWatchEvent(eventType: number, path: string, zxid: number, acl: readonly Acl[]): void
}

/** Kinds of watch, as bits: one watcher may have several on one path. */
export const WatchMode = { standard: 1, persistent: 2, recursive: 4, any: 7 } as const

/**
 * Who watches which path. A server has two: one for data and existence, one for lists of children. A path with one
 * watcher, the usual case, holds no set.
 */
export class WatchManager {
  readonly #byPath = new Map<string, Watcher | Set<Watcher>>()
  readonly #byWatcher = new Map<Watcher, Map<string, number>>()
  #recursiveCount = 0
  #count = 0

  /** Watches, counted once for each path and watcher. */
  get count(): number {
    return this.#count
  }

  get pathCount(): number {
    return this.#byPath.size
  }

  get watcherCount(): number {
    return this.#byWatcher.size
  }

  /** The paths that a watcher watches. */
  pathsOf(watcher: Watcher): Iterable<string> {
    return this.#byWatcher.get(watcher)?.keys() ?? []
  }

  watchers(): IterableIterator<Watcher> {
    return this.#byWatcher.keys()
  }

  add(path: string, watcher: Watcher, mode: number): void {
    let paths = this.#byWatcher.get(watcher)
    if (paths === undefined) this.#byWatcher.set(watcher, (paths = new Map<string, number>()))
    const before = paths.get(path) ?? 0
    if ((before & mode) === mode) return
    paths.set(path, before | mode)
    if ((mode & ~before & WatchMode.recursive) !== 0) this.#recursiveCount++
    if (before === 0) this.#link(path, watcher)
  }

  has(path: string, watcher: Watcher, mode: number): boolean {
    return ((this.#byWatcher.get(watcher)?.get(path) ?? 0) & mode) !== 0
  }

  /** Takes those modes away; `false` when there was none of them. */
  remove(path: string, watcher: Watcher, mode: number): boolean {
    const paths = this.#byWatcher.get(watcher)
    const before = paths?.get(path) ?? 0
    if (paths === undefined || (before & mode) === 0) return false
    this.#setMode(path, watcher, paths, before, before & ~mode)
    return true
  }

  removeWatcher(watcher: Watcher): void {
    const paths = this.#byWatcher.get(watcher)
    if (paths === undefined) return
    for (const [path, mode] of paths) {
      if ((mode & WatchMode.recursive) !== 0) this.#recursiveCount--
      this.#unlink(path, watcher)
    }
    this.#byWatcher.delete(watcher)
  }

  /**
   * Tells everybody who watches the path, or has a recursive watch on it or above it, and takes their one-shot watches
   * away. Returns who was told; those in `told` already are passed over.
   */
  trigger(
    eventType: number,
    path: string,
    zxid: number,
    acl: readonly Acl[],
    told?: ReadonlySet<Watcher>,
  ): ReadonlySet<Watcher> | undefined {
    if (this.#byPath.size === 0) return undefined
    const watchers = new Set<Watcher>()
    const here = this.#byPath.get(path)
    if (here !== undefined) {
      if (here instanceof Set) for (const watcher of [...here]) this.#fire(path, watcher, watchers)
      else this.#fire(path, here, watchers)
    }
    if (this.#recursiveCount > 0) this.#collectRecursive(path, watchers)
    if (watchers.size === 0) return undefined
    for (const watcher of watchers) {
      if (told === undefined || !told.has(watcher)) watcher.onWatchEvent(eventType, path, zxid, acl)
    }
    return watchers
  }

  #fire(path: string, watcher: Watcher, into: Set<Watcher>): void {
    const paths = this.#byWatcher.get(watcher)!
    const mode = paths.get(path)!
    into.add(watcher)
    if ((mode & WatchMode.standard) !== 0) {
      this.#setMode(path, watcher, paths, mode, mode & ~WatchMode.standard)
    }
  }

  #collectRecursive(path: string, into: Set<Watcher>): void {
    for (let above = path; above !== '/';) {
      above = parentPath(above)
      const there = this.#byPath.get(above)
      if (there === undefined) continue
      for (const watcher of there instanceof Set ? there : [there]) {
        if (this.has(above, watcher, WatchMode.recursive)) into.add(watcher)
      }
    }
  }

  #setMode(path: string, watcher: Watcher, paths: Map<string, number>, before: number, after: number): void {
    if ((before & ~after & WatchMode.recursive) !== 0) this.#recursiveCount--
    if (after !== 0) {
      paths.set(path, after)
      return
    }
    paths.delete(path)
    if (paths.size === 0) this.#byWatcher.delete(watcher)
    this.#unlink(path, watcher)
  }

  #link(path: string, watcher: Watcher): void {
    this.#count++
    const there = this.#byPath.get(path)
    if (there === undefined) this.#byPath.set(path, watcher)
    else if (there instanceof Set) there.add(watcher)
    else this.#byPath.set(path, new Set([there, watcher]))
  }

  #unlink(path: string, watcher: Watcher): void {
    this.#count--
    const there = this.#byPath.get(path)
    if (there instanceof Set) {
      there.delete(watcher)
      if (there.size === 0) this.#byPath.delete(path)
    } else if (there === watcher) this.#byPath.delete(path)
  }
}
