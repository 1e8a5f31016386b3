import { nodeRandom, type Platform } from '@conclave/core'
import { ZooKeeper, type ConnectOptions, type StateChange } from '@conclave/client'
import { settle, VirtualClock } from '@conclave/testing'
import { FakeEnsemble } from './fake-ensemble.ts'
import { SimulatedNetwork } from './simulated-network.ts'

/** A client, a network and a fake ensemble under virtual time. */
export class Simulation {
  readonly clock = new VirtualClock()
  readonly network = new SimulatedNetwork()
  readonly ensemble = new FakeEnsemble()

  constructor() {
    this.network.serve('zk1', this.ensemble.accept)
  }

  get platform(): Partial<Platform> {
    // Half of each backoff, so that times are exact.
    const random = { bytes: nodeRandom.bytes, float: () => 0.5 }
    return { clock: this.clock, network: this.network, random }
  }

  /** Starts to connect; time must pass for it to end otherwise than at once. */
  connecting(options: ConnectOptions = {}, target = 'zk1'): Promise<ZooKeeper> {
    return looseEnd(
      ZooKeeper.connect(target, { sessionTimeoutMs: 9_000, platform: this.platform, ...options }),
    )
  }

  async connect(options: ConnectOptions = {}, target = 'zk1'): Promise<ZooKeeper> {
    const connecting = this.connecting(options, target)
    await settle()
    return connecting
  }
}

/** Every change of state from now on, as `state` or `state:reason`. */
export function recordStates(zk: ZooKeeper): string[] {
  const states: string[] = []
  zk.on('state', (change: StateChange) => {
    states.push('reason' in change ? `${change.state}:${change.reason}` : change.state)
  })
  return states
}

/** A promise that the test looks at in its own time: until then its rejection is nobody's fault. */
export function looseEnd<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}

/** How a promise stands, without waiting for it. */
export async function outcomeOf(promise: Promise<unknown>): Promise<string> {
  const outcome = promise.then(
    () => 'resolved',
    (error: { name: string; outcome?: string }) => `${error.name}:${error.outcome ?? ''}`,
  )
  return Promise.race([outcome, settle().then(() => 'pending')])
}
