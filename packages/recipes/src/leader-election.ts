import type { Data, ZooKeeper } from '@conclave/client'
import { Candidacy } from './candidacy.ts'
import type { Lease } from './lease.ts'
import { currentLeader, observeLeader, type Leader } from './observe-leader.ts'

export interface LeaderElectionOptions {
  /** What observers see of this candidate once it leads. Default `null`. */
  readonly data?: Data | undefined
}

/**
 * Elects one leader among all who campaign at a path.
 *
 * Guarantees: at most one candidate holds a lease that can be proven, and of two holders the later has the greater
 * fencing token. A candidate watches only the one before it, so a change of leader wakes one candidate.
 *
 * Suspended: a campaign goes on after the reconnect, with what is true then. A lease ends shortly before the session
 * could expire, by the monotonic clock, unless the connection is back by then.
 *
 * Session lost: a campaign begins anew in the next session, with a new znode. A lease ends at once.
 *
 * Znodes: `<path>/_c_<guid>-latch-<sequence>`, ephemeral, as Apache Curator's `LeaderLatch` makes them. The lowest
 * sequence number leads once it has written to its own znode; the zxid of that write is the fencing token.
 */
export class LeaderElection {
  readonly #zk: ZooKeeper
  readonly #path: string
  readonly #data: Data

  constructor(zk: ZooKeeper, path: string, options: LeaderElectionOptions = {}) {
    this.#zk = zk
    this.#path = path
    this.#data = options.data ?? null
  }

  /**
   * Resolves when this candidate leads. Rejects with `AbortedError` when the signal aborts, with `LeaseEndedError`
   * when the client is closed or the server refuses. A loss of connection or session only makes it take longer.
   */
  campaign(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<Lease> {
    return new Candidacy(this.#zk, this.#path, this.#data).run(options.signal)
  }

  /** The present leader, or `null` while nobody is in office. */
  current(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<Leader | null> {
    return currentLeader(this.#zk, this.#path, options.signal)
  }

  /**
   * The present leader and each next one; `null` while nobody is in office. A slow consumer gets the newest, not each.
   * Ends when the client is closed or the signal aborts.
   */
  observe(options: { readonly signal?: AbortSignal | undefined } = {}): AsyncIterableIterator<Leader | null> {
    return observeLeader(this.#zk, this.#path, options.signal)
  }
}
