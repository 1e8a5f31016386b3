import { deferred, orAborted } from '@conclave/core'
import { NoNodeError, type ZooKeeper } from '@conclave/client'
import type { ClusterLayout } from '../layout.ts'
import { decodeJobRecord } from './job-record.ts'

/** ZooKeeper keeps everything in memory, so what a cluster's jobs keep there has a limit. */
export const DEFAULT_BUDGET_BYTES = 256 * 1024 * 1024

/**
 * Resolves when the jobs that are there leave room in the budget: at once, or when enough of them were removed. Only
 * submitters wait; results are always recorded.
 */
export async function awaitBudget(
  zk: ZooKeeper,
  layout: ClusterLayout,
  budgetBytes: number,
  signal?: AbortSignal,
): Promise<void> {
  for (;;) {
    signal?.throwIfAborted()
    const change = deferred()
    const { children } = await zk.getChildren(layout.jobs, { watch: () => change.resolve() })
    const sizes = await Promise.all(children.map(jobId => sizeOf(zk, layout.job(jobId))))
    if (sizes.reduce((sum, size) => sum + size, 0) < budgetBytes) return
    await orAborted(change.promise, signal)
  }
}

async function sizeOf(zk: ZooKeeper, path: string): Promise<number> {
  try {
    const { data } = await zk.getData(path)
    const { inputBytes, end } = decodeJobRecord(data, path)
    return inputBytes + (end?.resultBytes ?? 0)
  } catch (error) {
    if (error instanceof NoNodeError) return 0
    throw error
  }
}
