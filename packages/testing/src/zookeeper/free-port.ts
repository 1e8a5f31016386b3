import { createServer, type AddressInfo } from 'node:net'

/**
 * A port of the loopback address that was free just now, for servers that must be told one. Another process can
 * take it before its user does, so be ready to try again; ask a server for port 0 wherever it takes that.
 */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}
