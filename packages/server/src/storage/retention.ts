import type { Disk } from '@conclave/core'
import type { DataFolder } from './data-folder.ts'

/** To free a file of a hundred megabytes at once would hold up the next sync of the log for tens of milliseconds. */
const FREED_BYTES = 4 << 20

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
  for (const path of await folder.markUnfinished(unneeded)) await removeInParts(folder.disk, path)
}

async function removeInParts(disk: Disk, path: string): Promise<void> {
  const file = await disk.open(path, 'existing')
  try {
    for (let left = await file.sizeBytes(); left > FREED_BYTES;) await file.truncate((left -= FREED_BYTES))
  } finally {
    await file.close()
  }
  await disk.remove(path)
}
