import type { Clock } from './clock.ts'
import type { Disk } from './disk.ts'
import type { Network } from './network.ts'
import type { Random } from './random.ts'

/** All that a process needs from outside itself, so that a simulation can stand in for any of it. */
export interface Platform {
  readonly clock: Clock
  readonly random: Random
  readonly network: Network
  readonly disk: Disk
}
