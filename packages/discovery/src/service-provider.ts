import { roundRobin, type ProviderStrategy } from './provider-strategy.ts'
import type { ServiceCache } from './service-cache.ts'
import type { ServiceInstance } from './service-instance.ts'

export interface ServiceProviderOptions {
  /** Default `roundRobin()`. */
  readonly strategy?: ProviderStrategy | undefined
}

/** Answers "which instance shall I use?" from a cache, so without waiting. */
export class ServiceProvider {
  readonly #cache: Pick<ServiceCache, 'current'>
  readonly #strategy: ProviderStrategy

  constructor(cache: Pick<ServiceCache, 'current'>, options: ServiceProviderOptions = {}) {
    this.#cache = cache
    this.#strategy = options.strategy ?? roundRobin()
  }

  /** An instance that is up, or `undefined` where there is none. */
  pick(): ServiceInstance | undefined {
    const candidates = this.#cache.current
      .filter(({ status }) => status === 'up')
      .sort((a, b) => (a.id < b.id ? -1 : 1))
    return this.#strategy.pick(candidates)
  }
}
