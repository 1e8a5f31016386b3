import type { ZooKeeper } from '@conclave/client'
import { LeaderElection, type Leader } from '@conclave/recipes'
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
  for await (const leader of new LeaderElection(zk, layout.election).observe({ signal })) yield infoOf(leader)
}

/** The leader at this moment. */
export async function currentLeader(zk: ZooKeeper, layout: ClusterLayout): Promise<LeaderInfo | null> {
  return infoOf(await new LeaderElection(zk, layout.election).current())
}

function infoOf(leader: Leader | null): LeaderInfo | null {
  if (leader === null) return null
  return { ...(JSON.parse(String(leader.data)) as CandidateData), fencingToken: leader.fencingToken }
}
