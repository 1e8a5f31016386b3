import type { Random } from '@conclave/core'
import type { ServiceInstance } from './service-instance.ts'

/** Chooses among the instances that are up. */
export interface ProviderStrategy {
  /** `undefined` only for an empty list. */
  pick(instances: readonly ServiceInstance[]): ServiceInstance | undefined
}

/** Each in turn. */
export function roundRobin(): ProviderStrategy {
  let turn = 0
  return {
    pick: instances => instances[turn++ % Math.max(1, instances.length)],
  }
}

/** Any, with equal chance. */
export function randomly(random: Random): ProviderStrategy {
  return { pick: instances => instances[Math.floor(random.float() * instances.length)] }
}

/** The same one as long as it is there, then another as `inner` chooses. */
export function sticky(inner: ProviderStrategy): ProviderStrategy {
  let chosenId: string | undefined
  return {
    pick(instances) {
      const chosen = instances.find(({ id }) => id === chosenId) ?? inner.pick(instances)
      chosenId = chosen?.id
      return chosen
    },
  }
}
