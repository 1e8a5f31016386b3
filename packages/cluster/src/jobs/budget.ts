import { codeOf, deferred, orAborted } from '@conclave/core'
import type { ZooKeeper } from '@conclave/client'
import type { ClusterLayout } from '../layout.ts'
import { decodeJobRecord, isOver } from './job-record.ts'

/** ZooKeeper keeps everything in memory, so what a cluster's jobs keep there has a limit. */
export const DEFAULT_BUDGET_BYTES = 256 * 1024 * 1024

/** What all jobs of a cluster keep on the servers. Submitters wait for room in it; results are always recorded. */
export class Budget {
  readonly #zk: ZooKeeper
  readonly #layout: ClusterLayout
  /** Of jobs that are over, whose size does not change: read once, however many are kept. */
  #known = new Map<string, number>()

  constructor(zk: ZooKeeper, layout: ClusterLayout) {
    this.#zk = zk
    this.#layout = layout
  }

  /** Resolves when the jobs that are there leave room: at once, or when enough of them were removed. */
  async awaitRoom(budgetBytes: number, signal?: AbortSignal): Promise<void> {
    for (;;) {
      signal?.throwIfAborted()
      const change = deferred()
      const watch = (): void => change.resolve()
      if ((await this.#usedBytes({})) < budgetBytes) return
      // Looked at again with a watch: what was removed in between must not be waited for.
      if ((await this.#usedBytes({ watch })) < budgetBytes) return
      await orAborted(change.promise, signal)
    }
  }

  async #usedBytes(options: { readonly watch?: () => void }): Promise<number> {
    const { children } = await this.#zk.getChildren(this.#layout.jobs, options)
    const before = this.#known
    this.#known = new Map()
    const sizes = await Promise.all(children.map(jobId => this.#sizeOf(jobId, before.get(jobId))))
    return sizes.reduce((sum, size) => sum + size, 0)
  }

  async #sizeOf(jobId: string, known: number | undefined): Promise<number> {
    if (known !== undefined) {
      this.#known.set(jobId, known)
      return known
    }
    const path = this.#layout.job(jobId)
    try {
      const { data } = await this.#zk.getData(path)
      const { state, inputBytes, end } = decodeJobRecord(data, path)
      const size = inputBytes + (end?.resultBytes ?? 0)
      if (isOver(state)) this.#known.set(jobId, size)
      return size
    } catch (error) {
      // Gone meanwhile, or no job: the leader says so in its log.
      if (codeOf(error) === 'NO_NODE' || codeOf(error) === 'CORRUPT_JOB') return 0
      throw error
    }
  }
}
