import { NoNodeError, type ZooKeeper } from '@conclave/client'
import { UsageError, uuid } from '@conclave/core'
import { childPath } from '@conclave/protocol'
import { Registration } from './registration.ts'
import { ServiceCache } from './service-cache.ts'
import { decodeInstance, type ServiceInstance, type ServiceStatus } from './service-instance.ts'

/** What is registered. */
export interface ServiceDescription<Payload = null> {
  readonly serviceName: string
  /** Default a random UUID. */
  readonly id?: string | undefined
  readonly address: string
  readonly port?: number | undefined
  /** Whatever else its users want to know; anything that JSON can say. Default `null`. */
  readonly payload?: Payload | undefined
  /** Default `up`. */
  readonly status?: ServiceStatus | undefined
}

/**
 * Services and their instances, below one path.
 *
 * Guarantees: an instance is listed while its session lives and its registration was not taken back, and in each
 * further session again.
 *
 * Suspended: what is registered stays listed; whoever asks gets the list as it was.
 *
 * Session lost: the instance vanishes and is registered again by the next session.
 *
 * Znodes: `<basePath>/<serviceName>/<id>`, ephemeral, with the JSON of Apache Curator's service discovery.
 */
export class ServiceRegistry {
  readonly #zk: ZooKeeper
  readonly #basePath: string

  constructor(zk: ZooKeeper, basePath: string) {
    this.#zk = zk
    this.#basePath = basePath
  }

  /** Resolves when the instance is listed. */
  async register<Payload = null>(description: ServiceDescription<Payload>): Promise<Registration<Payload>> {
    const { serviceName, address, port = null, status = 'up' } = description
    const payload = (description.payload ?? null) as Payload
    const { random, clock } = this.#zk.platform
    const id = description.id ?? uuid(random)
    if (id === '' || id.includes('/'))
      throw new UsageError(`${JSON.stringify(id)} cannot be the id of an instance`)
    const instance = { serviceName, id, address, port, payload, registeredAtMs: clock.wallMs(), status }
    const path = childPath(this.#servicePath(serviceName), id)
    const registration = new Registration<Payload>(this.#zk, path, instance)
    await registration.start()
    return registration
  }

  /** The instances of a service, followed as they come and go once `start` was called. */
  instances(serviceName: string): ServiceCache {
    return new ServiceCache(this.#zk, this.#servicePath(serviceName))
  }

  /** The instances of a service at this moment. */
  async list(serviceName: string): Promise<ServiceInstance[]> {
    const path = this.#servicePath(serviceName)
    const { children } = await this.#zk.getChildren(path).catch(emptyIfNoNode)
    const reads = await Promise.all(
      children.map(id => this.#zk.getData(childPath(path, id)).catch(nullIfNoNode)),
    )
    return reads.map(read => decodeInstance(read?.data ?? null)).filter(found => found !== undefined)
  }

  /** The names of all services that ever had an instance. */
  async serviceNames(): Promise<readonly string[]> {
    const { children } = await this.#zk.getChildren(this.#basePath).catch(emptyIfNoNode)
    return children
  }

  #servicePath(serviceName: string): string {
    if (serviceName === '' || serviceName.includes('/')) {
      throw new UsageError(`${JSON.stringify(serviceName)} cannot be the name of a service`)
    }
    return childPath(this.#basePath, serviceName)
  }
}

function emptyIfNoNode(error: unknown): { readonly children: readonly string[] } {
  if (error instanceof NoNodeError) return { children: [] }
  throw error
}

function nullIfNoNode(error: unknown): null {
  if (error instanceof NoNodeError) return null
  throw error
}
