import { formatEndpoint, shuffle, UsageError, type Endpoint, type Network, type Random } from '@conclave/core'
import { parseConnectString } from './connect-string.ts'
import { rebalance } from './rebalance.ts'

/** Where the servers are. */
export interface HostProvider {
  /**
   * The servers to try now, in this order; asked again for each round of connecting, and when it takes longer than the
   * session timeout: `signal` ends the search before.
   */
  resolve(signal: AbortSignal): Promise<readonly Endpoint[]>
}

/**
 * `host:port,host:port/chroot`, or `dns-srv://name/chroot` for the servers of a DNS SRV name, or an object that finds
 * the servers.
 */
export type ConnectTarget = string | HostProvider

/** What of the platform finding servers takes. */
export interface LookupPlatform {
  readonly network: Pick<Network, 'lookup' | 'lookupService'>
  readonly random: Random
}

/**
 * A fixed list of names: each round looks every name up again, takes all its addresses, and shuffles them, so that
 * clients spread over the servers and follow a name that moves.
 */
export class StaticHostProvider implements HostProvider {
  #endpoints: readonly Endpoint[]
  /** Those to be tried before the others at the next round: set when clients are to spread over a new list. */
  #preferred: readonly Endpoint[] = []
  readonly #platform: LookupPlatform

  constructor(endpoints: readonly Endpoint[], platform: LookupPlatform) {
    if (endpoints.length === 0) throw new UsageError('a list of servers cannot be empty')
    this.#endpoints = endpoints
    this.#platform = platform
  }

  async resolve(): Promise<readonly Endpoint[]> {
    const preferred = this.#preferred
    this.#preferred = []
    const isPreferred = ({ host, port }: Endpoint): boolean =>
      preferred.some(endpoint => endpoint.host === host && endpoint.port === port)
    const others = this.#endpoints.filter(endpoint => !isPreferred(endpoint))
    const [first, rest] = await Promise.all([this.#lookUp(preferred), this.#lookUp(others)])
    const found = [...first.found, ...rest.found]
    const failure = first.failure ?? rest.failure
    if (found.length === 0 && failure !== undefined) throw failure
    return found
  }

  async #lookUp(endpoints: readonly Endpoint[]): Promise<{ found: Endpoint[]; failure: Error | undefined }> {
    const lookups = await Promise.allSettled(
      endpoints.map(async ({ host, port }) => {
        const addresses = await this.#platform.network.lookup(host)
        return addresses.map(address =>
          address === host ? { host, port } : { host: address, port, name: host },
        )
      }),
    )
    const found = lookups.flatMap(lookup => (lookup.status === 'fulfilled' ? lookup.value : []))
    const failed = lookups.find(lookup => lookup.status === 'rejected')
    return { found: shuffle(this.#platform.random, found), failure: failed?.reason as Error | undefined }
  }

  /** Takes another list; `true` when a client that is connected to `current` should move, to spread the load. */
  update(endpoints: readonly Endpoint[], current: Endpoint | undefined): boolean {
    if (endpoints.length === 0) throw new UsageError('a list of servers cannot be empty')
    const connected =
      current === undefined ? undefined : keyOf({ ...current, host: current.name ?? current.host })
    const move = rebalance(this.#endpoints.map(keyOf), endpoints.map(keyOf), connected, this.#platform.random)
    this.#endpoints = endpoints
    this.#preferred = endpoints.filter(endpoint => move?.has(keyOf(endpoint)))
    return move !== undefined
  }
}

function keyOf({ host, port }: Endpoint): string {
  return formatEndpoint({ host, port })
}

/** The servers of a DNS SRV name, looked up in each round. */
export class SrvHostProvider implements HostProvider {
  readonly #name: string
  readonly #platform: LookupPlatform

  constructor(name: string, platform: LookupPlatform) {
    if (name === '') throw new UsageError('dns-srv:// names nothing')
    this.#name = name
    this.#platform = platform
  }

  async resolve(): Promise<readonly Endpoint[]> {
    const { lookupService } = this.#platform.network
    if (lookupService === undefined) throw new UsageError('this platform has no DNS')
    const found = await lookupService(this.#name)
    if (found.length === 0) throw new Error(`${this.#name} has no SRV records`)
    return new StaticHostProvider(found, this.#platform).resolve()
  }
}

const SRV_SCHEME = 'dns-srv://'

/** The provider and the chroot that a target names. */
export function toHostProvider(
  target: ConnectTarget,
  platform: LookupPlatform,
): { readonly hosts: HostProvider; readonly chroot: string } {
  if (typeof target !== 'string') return { hosts: target, chroot: '/' }
  if (target.startsWith(SRV_SCHEME)) {
    const [name = '', ...path] = target.slice(SRV_SCHEME.length).split('/')
    return { hosts: new SrvHostProvider(name, platform), chroot: `/${path.join('/')}` }
  }
  const { endpoints, chroot } = parseConnectString(target)
  return { hosts: new StaticHostProvider(endpoints, platform), chroot }
}
