import { CREATOR_ALL_ACL, NodeExistsError, NoNodeError, OPEN_ACL, type ZooKeeper } from '@conclave/client'
import type { Random } from '@conclave/core'
import type { ClusterLayout } from './layout.ts'

const SECRET_BYTES = 32

/**
 * The cluster's secret, made by the first node. Whoever may read its znode belongs to the cluster: with `protect`
 * only those with the identities of that first node may, otherwise everybody whom the ZooKeeper servers let in.
 */
export async function clusterSecret(
  zk: ZooKeeper,
  layout: ClusterLayout,
  random: Random,
  protect: boolean,
): Promise<Uint8Array> {
  for (;;) {
    try {
      return (await zk.getData(layout.secret)).data ?? new Uint8Array()
    } catch (error) {
      if (!(error instanceof NoNodeError)) throw error
    }
    try {
      await zk.create(layout.secret, random.bytes(SECRET_BYTES), {
        acl: protect ? CREATOR_ALL_ACL : OPEN_ACL,
      })
    } catch (error) {
      if (!(error instanceof NodeExistsError)) throw error
    }
  }
}
