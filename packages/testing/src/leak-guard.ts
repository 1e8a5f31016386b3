import { eventually } from './eventually.ts'
import { runningProcesses } from './process/test-process.ts'

/** What a test must give back, by Node.js's own names. Only what keeps the event loop alive is counted. */
const WATCHED = ['TCPSocketWrap', 'TCPServerWrap', 'TLSWrap', 'ProcessWrap']

/**
 * Notes what is open now. The function returned, called when the test has cleaned up, waits up to `timeoutMs`
 * (default 5,000) until no more is open than then, and rejects with the kinds and processes left over.
 */
export function leakGuard(timeoutMs = 5_000): () => Promise<void> {
  const before = countResources()
  return async () => {
    await eventually(
      () => {
        const leaks = findLeaks(before)
        if (leaks.length > 0) throw new Error(`left open: ${leaks.join(', ')}`)
        return true
      },
      { timeoutMs, what: 'the closing of all that the test opened' },
    )
  }
}

function findLeaks(before: ReadonlyMap<string, number>): readonly string[] {
  const leaks = runningProcesses().map(({ name, pid }) => `${name} (process ${pid})`)
  for (const [kind, count] of countResources()) {
    const extra = count - (before.get(kind) ?? 0)
    if (extra > 0) leaks.push(`${extra} ${kind}`)
  }
  return leaks
}

function countResources(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) {
    if (WATCHED.includes(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  return counts
}
