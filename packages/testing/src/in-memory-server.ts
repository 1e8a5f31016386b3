import { EmbeddedServer, type ServerOptions } from '@conclave/server'
import { SimulatedDisk } from './simulated/simulated-disk.ts'

/**
 * A server in this process that keeps everything in memory and is ready in milliseconds, for tests of programs that need
 * one. `expireSession` and `dropConnections` bring about what such programs must survive.
 */
export function inMemoryServer(
  options: Omit<ServerOptions, 'dataDir'> & { readonly disk?: SimulatedDisk } = {},
): Promise<EmbeddedServer> {
  const { disk = new SimulatedDisk(), platform, ...rest } = options
  return EmbeddedServer.start({ port: 0, ...rest, dataDir: 'memory', platform: { ...platform, disk } })
}
