import type { Platform } from '../platform.ts'
import { nodeClock } from './node-clock.ts'
import { nodeDisk } from './node-disk.ts'
import { nodeNetwork } from './node-network.ts'
import { nodeRandom } from './node-random.ts'

/** Everything outside, as Node.js gives it. The default wherever a platform can be passed. */
export const nodePlatform: Platform = {
  clock: nodeClock,
  random: nodeRandom,
  network: nodeNetwork,
  disk: nodeDisk,
}
