import { shuffle, UsageError, type Endpoint, type Network, type Random } from '@conclave/core'
import { parseConnectString } from './connect-string.ts'

/** Where the servers are. */
export interface HostProvider {
  /** The servers to try now, in this order; asked again for each round of connecting. */
  resolve(signal: AbortSignal): Promise<readonly Endpoint[]>
}

/** `host:port,host:port/chroot`, or an object that finds the servers. */
export type ConnectTarget = string | HostProvider

/**
 * A fixed list of names: each round looks every name up again, takes all its addresses, and shuffles them, so that
 * clients spread over the servers and follow a name that moves.
 */
export class StaticHostProvider implements HostProvider {
  readonly #endpoints: readonly Endpoint[]
  readonly #network: Pick<Network, 'lookup'>
  readonly #random: Random

  constructor(
    endpoints: readonly Endpoint[],
    platform: { readonly network: Pick<Network, 'lookup'>; readonly random: Random },
  ) {
    if (endpoints.length === 0) throw new UsageError('a list of servers cannot be empty')
    this.#endpoints = endpoints
    this.#network = platform.network
    this.#random = platform.random
  }

  async resolve(): Promise<readonly Endpoint[]> {
    const lookups = await Promise.allSettled(
      this.#endpoints.map(async ({ host, port }) => {
        const addresses = await this.#network.lookup(host)
        return addresses.map(address =>
          address === host ? { host, port } : { host: address, port, name: host },
        )
      }),
    )
    const found = lookups.flatMap(lookup => (lookup.status === 'fulfilled' ? lookup.value : []))
    const failed = lookups.find(lookup => lookup.status === 'rejected')
    if (found.length === 0 && failed !== undefined) throw failed.reason
    return shuffle(this.#random, found)
  }
}

/** The provider and the chroot that a target names. */
export function toHostProvider(
  target: ConnectTarget,
  platform: { readonly network: Network; readonly random: Random },
): { readonly hosts: HostProvider; readonly chroot: string } {
  if (typeof target !== 'string') return { hosts: target, chroot: '/' }
  const { endpoints, chroot } = parseConnectString(target)
  return { hosts: new StaticHostProvider(endpoints, platform), chroot }
}
