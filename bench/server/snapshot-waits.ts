import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunningServer } from './contenders.js'
import { existsFrame } from './frames.js'
import { Latencies } from './latencies.js'
import { ROOT } from './loads.js'
import { WireSession } from './wire-session.js'

/** How long requests waited, in milliseconds. */
export interface Waits {
  readonly count: number
  readonly p99Ms: number
  readonly longestMs: number
}

/** A snapshot that has not grown for so long is done. */
const SETTLED_MS = 300

/**
 * Asks something small each millisecond, while others fill the log, and tells how long the answers took before a new
 * snapshot appeared and while it was written. Ends when it is done, or after `timeoutMs`.
 */
export async function snapshotWaits(
  { endpoint, dataDir }: RunningServer,
  timeoutMs: number,
): Promise<{ readonly before: Waits; readonly during: Waits }> {
  const session = await WireSession.open(endpoint)
  const question = existsFrame(ROOT)
  const known = new Set(snapshots(dataDir))
  const before = new Latencies()
  const during = new Latencies()
  const deadlineMs = performance.now() + timeoutMs
  let bytes = 0
  let grownMs = 0
  let nextLookMs = 0
  for (;;) {
    const startMs = performance.now()
    if (startMs > deadlineMs) throw new Error('no snapshot was taken')
    if (startMs >= nextLookMs) {
      nextLookMs = startMs + 50
      const size = newBytes(dataDir, known)
      if (size !== bytes) grownMs = startMs
      bytes = size
      if (bytes > 0 && startMs > grownMs + SETTLED_MS) break
    }
    const askedMs = performance.now()
    await session.ask([question])
    ;(bytes > 0 ? during : before).add(performance.now() - askedMs)
    await sleep(1)
  }
  await session.end()
  return { before: waits(before), during: waits(during) }
}

function waits(latencies: Latencies): Waits {
  return { count: latencies.count, p99Ms: latencies.quantile(0.99), longestMs: latencies.quantile(1) }
}

/** Also the one that is being written, whatever it is called until it is done; none that waits for its removal. */
function snapshots(dataDir: string): string[] {
  const names = readdirSync(join(dataDir, 'version-2'))
  return names.filter(name => name.includes('snapshot.') && !name.includes('removed.'))
}

function newBytes(dataDir: string, known: ReadonlySet<string>): number {
  let bytes = 0
  for (const name of snapshots(dataDir)) {
    if (known.has(name)) continue
    bytes += statSync(join(dataDir, 'version-2', name), { throwIfNoEntry: false })?.size ?? 0
  }
  return bytes
}
