import type { DataTree } from './data-tree.ts'
import { ttlOfOwner } from './znode.ts'

/**
 * Container znodes that lost their last child, and TTL znodes without children that were not changed for their time, at
 * most `max` of them. A container that never had a child is about to be used. (Apache's `ContainerManager`)
 */
export function unusedZnodes(tree: DataTree, wallMs: number, max: number): string[] {
  const unused: string[] = []
  for (const path of tree.containers) {
    const znode = tree.get(path)!
    if (znode.childCount === 0 && znode.cversion !== 0) unused.push(path)
  }
  for (const path of tree.ttls) {
    const znode = tree.get(path)!
    if (znode.childCount === 0 && wallMs - znode.mtimeMs > ttlOfOwner(znode.owner)) unused.push(path)
  }
  return unused.slice(0, max)
}
