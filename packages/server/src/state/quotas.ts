import { baseName, parentPath } from '@conclave/protocol'
import type { DataTree } from './data-tree.ts'
import type { Znode } from './znode.ts'

const QUOTA_ROOT = '/zookeeper/quota'
const LIMITS = 'zookeeper_limits'
const STATS = 'zookeeper_stats'
/** A few milliseconds' work. */
const STEPS_AT_ONCE = 8192

/** Counts and bytes, limits or used, as they stand in the data of quota znodes. -1: none. */
export interface QuotaFigures {
  readonly count: number
  readonly bytes: number
  readonly countHardLimit: number
  readonly byteHardLimit: number
}

/** Reads `count=5,bytes=-1=;byteHardLimit=100;countHardLimit=-1`, and the shorter forms of older tools. */
export function parseQuota(text: string): QuotaFigures {
  const values = new Map<string, number>()
  for (const pair of text.split(/[,;]+/)) {
    const [key = '', value = ''] = pair.split('=')
    values.set(key, /^-?\d+$/.test(value) ? Number(value) : -1)
  }
  const get = (key: string): number => values.get(key) ?? -1
  return {
    count: get('count'),
    bytes: get('bytes'),
    countHardLimit: get('countHardLimit'),
    byteHardLimit: get('byteHardLimit'),
  }
}

/**
 * Quotas are znodes that clients write: `/zookeeper/quota<path>/zookeeper_limits`, and beside it `zookeeper_stats`, whose
 * data the server keeps up with what is at and below the path. The deepest limited path above a znode counts for it.
 */
export class Quotas {
  readonly #tree: DataTree
  /** Paths with limits. */
  readonly #limited = new Set<string>()

  constructor(tree: DataTree) {
    this.#tree = tree
  }

  /** How many paths have limits. */
  get count(): number {
    return this.#limited.size
  }

  clear(): void {
    this.#limited.clear()
  }

  /** Finds the limits in a tree that was read in, and counts anew. Goes on each time after a moment's work. */
  *restore(): Generator<void> {
    let steps = 0
    for (const _ of this.#restoring()) if (++steps % STEPS_AT_ONCE === 0) yield
  }

  /** Step by step. */
  *#restoring(): Generator<void> {
    for (const [path] of this.#tree.walk(QUOTA_ROOT)) {
      if (baseName(path) === LIMITS) this.#limited.add(limitedPath(path))
      yield
    }
    for (const path of this.#limited) yield* this.#recounting(path)
  }

  /** A znode was created or deleted, or its data changed in length; `countDiff` is 1, -1 or 0. */
  onChange(path: string, bytesDiff: number, countDiff: number): void {
    if (path.startsWith(QUOTA_ROOT)) this.#onQuotaChange(path, countDiff)
    if (this.#limited.size === 0) return
    const limited = this.#limitedAbove(path)
    const stats = limited === undefined ? undefined : this.#tree.get(statsPath(limited))
    if (limited === undefined || stats === undefined) return
    const { count, bytes } = this.#figures(stats)
    this.#write(limited, count + countDiff, bytes + bytesDiff)
  }

  /** Whether so much more goes beyond a hard limit. */
  isExceededBy(path: string, bytesDiff: number, countDiff: number): boolean {
    const limited = this.#limited.size === 0 ? undefined : this.#limitedAbove(path)
    if (limited === undefined) return false
    const limits = this.#tree.get(`${QUOTA_ROOT}${limited}/${LIMITS}`)
    const stats = this.#tree.get(statsPath(limited))
    if (limits === undefined || stats === undefined) return false
    const { countHardLimit, byteHardLimit } = this.#figures(limits)
    const used = this.#figures(stats)
    const tooMany = countDiff !== 0 && countHardLimit > -1 && used.count + countDiff > countHardLimit
    return tooMany || (bytesDiff !== 0 && byteHardLimit > -1 && used.bytes + bytesDiff > byteHardLimit)
  }

  #onQuotaChange(path: string, countDiff: number): void {
    const name = baseName(path)
    if (countDiff === 0 || (name !== LIMITS && name !== STATS)) return
    const limited = limitedPath(path)
    if (name === STATS) {
      if (countDiff > 0) this.#recount(limited)
    } else if (countDiff > 0) this.#limited.add(limited)
    else this.#limited.delete(limited)
  }

  /** The root itself has no quota. */
  #limitedAbove(path: string): string | undefined {
    for (let above = path; above !== '/'; above = parentPath(above))
      if (this.#limited.has(above)) return above
    return undefined
  }

  #figures(znode: Znode): QuotaFigures {
    return parseQuota(this.#tree.dataOf(znode)?.toString() ?? '')
  }

  #recount(path: string): void {
    for (const _ of this.#recounting(path));
  }

  *#recounting(path: string): Generator<void> {
    let count = 0
    let bytes = 0
    for (const length of this.#tree.dataLengths(path)) {
      count++
      bytes += length
      yield
    }
    this.#write(path, count, bytes)
  }

  /** Changes no version, and no digest: each server counts for itself. */
  #write(path: string, count: number, bytes: number): void {
    const stats = this.#tree.get(statsPath(path))
    if (stats !== undefined) this.#tree.replaceData(stats, Buffer.from(`count=${count},bytes=${bytes}`))
  }
}

function statsPath(limited: string): string {
  return `${QUOTA_ROOT}${limited}/${STATS}`
}

/** The path whose quota that znode holds. */
function limitedPath(quotaZnode: string): string {
  return parentPath(quotaZnode).slice(QUOTA_ROOT.length)
}
