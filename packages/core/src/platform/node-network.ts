import { createServer, connect as connectSocket, isIP } from 'node:net'
import type { Network } from '../network.ts'
import { orFailed } from './failed-connection.ts'
import { startListening } from './node-listener.ts'
import { SocketConnection } from './socket-connection.ts'

/** Plain TCP of the platform, without Nagle's delay: whoever writes here has gathered what belongs together. */
export const nodeNetwork: Network = {
  connect(endpoint) {
    const { host, port } = endpoint
    return orFailed(
      endpoint,
      () => new SocketConnection(connectSocket({ host, port, noDelay: true }), endpoint),
    )
  },

  listen(endpoint, onConnection) {
    const server = createServer({ noDelay: true }, socket => onConnection(new SocketConnection(socket)))
    return startListening(server, endpoint)
  },

  // DNS is loaded where there is a name to look up: a server, which has addresses only, is ready sooner.
  async lookup(host) {
    if (isIP(host) !== 0) return [host]
    const { lookup } = await import('node:dns/promises')
    const found = await lookup(host, { all: true })
    return found.map(({ address }) => address)
  },

  async lookupService(name) {
    const { resolveSrv } = await import('node:dns/promises')
    const found = await resolveSrv(name)
    return found.sort((a, b) => a.priority - b.priority).map(({ name: host, port }) => ({ host, port }))
  },
}
