import type { ZooKeeper } from '@conclave/client'
import { isProcessAlive } from './process-alive.ts'

// The clusters that `conclave run` starts, one for each job, on the project's own embedded server.

const ROOT = '/conclave'

/** Where the members of a cluster stand, as ephemeral znodes. */
const MEMBERS = ['agents', 'election', 'workers']

/** The name of a cluster that lives as long as this process. `suffix` tells those of one process apart. */
export function ownClusterName(suffix: string): string {
  return `run-${process.pid}-${suffix}`
}

export function removeOwnCluster(zk: ZooKeeper, name: string): Promise<void> {
  return zk.deleteRecursive(`${ROOT}/${name}`)
}

/** Removes the clusters of processes that could not do it themselves, as after SIGKILL. */
export async function removeAbandonedClusters(zk: ZooKeeper): Promise<void> {
  const { children } = await zk.getChildren(ROOT)
  for (const name of children) {
    const [, pid] = /^run-(\d+)-/.exec(name) ?? []
    if (pid === undefined || isProcessAlive(Number(pid))) continue
    if (!(await hasMembers(zk, name))) await removeOwnCluster(zk, name)
  }
}

/** Nodes that were killed are members until their sessions end; those of another container have pids of their own. */
async function hasMembers(zk: ZooKeeper, name: string): Promise<boolean> {
  for (const folder of MEMBERS) {
    const stat = await zk.exists(`${ROOT}/${name}/${folder}`)
    if (stat !== null && stat.numChildren > 0) return true
  }
  return false
}
