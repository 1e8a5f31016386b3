import type { ZooKeeper } from '@conclave/client'
import { LeaderElection } from '@conclave/recipes'
import type { ClusterLayout } from './layout.ts'
import type { CandidateData } from './node/node.ts'

/** The node that leads a cluster. */
export interface LeaderInfo extends CandidateData {
  /** Its term: a number that only grows. */
  readonly fencingToken: bigint
}

/** The leader now, and each one after it; `null` while there is none. */
export async function* observeLeader(
  zk: ZooKeeper,
  layout: ClusterLayout,
  signal?: AbortSignal,
): AsyncGenerator<LeaderInfo | null, void, undefined> {
  for await (const leader of new LeaderElection(zk, layout.election).observe({ signal })) {
    if (leader === null) yield null
    else yield { ...(JSON.parse(String(leader.data)) as CandidateData), fencingToken: leader.fencingToken }
  }
}

/** The leader at this moment. */
export async function currentLeader(zk: ZooKeeper, layout: ClusterLayout): Promise<LeaderInfo | null> {
  for await (const leader of observeLeader(zk, layout)) return leader
  return null
}
