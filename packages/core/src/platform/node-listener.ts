import type { AddressInfo, Server } from 'node:net'
import { ListenError, type Endpoint, type Listener } from '../network.ts'

/** Resolves when a server of Node.js accepts connections; rejects with `ListenError` when it never will. */
export function startListening(server: Server, endpoint: Endpoint): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const refuse = (error: Error): void => reject(new ListenError(endpoint, error))
    server.once('error', refuse)
    server.listen({ host: endpoint.host, port: endpoint.port, backlog: 4096 }, () => {
      server.off('error', refuse)
      // A connection that could not be accepted (no file descriptors left) costs nobody else anything.
      server.on('error', () => {})
      const { address, port } = server.address() as AddressInfo
      resolve({
        endpoint: { host: address, port },
        close: () => new Promise(closed => server.close(() => closed())),
      })
    })
  })
}
