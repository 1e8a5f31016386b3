import type { DataFolder } from './data-folder.ts'

/**
 * Removes what no recovery needs: all but the newest `keep` snapshots, and the logs that end before the oldest of them
 * begins. (Apache's `PurgeTxnLog`)
 */
export async function purge(folder: DataFolder, keep: number): Promise<void> {
  const snapshots = await folder.snapshots()
  const oldestKept = snapshots.at(-keep)
  if (oldestKept === undefined) return
  const logs = await folder.logs()
  const firstNeeded = logs.findLastIndex(({ zxid }) => zxid <= oldestKept.zxid)
  const unneeded = [...snapshots.slice(0, -keep), ...logs.slice(0, Math.max(0, firstNeeded))]
  for (const { path } of unneeded) await folder.disk.remove(path)
}
