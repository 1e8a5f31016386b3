import { EmbeddedServer, type ServerOptions } from '@conclave/server'
import { temporaryFolder } from '@conclave/testing'

/** A server on a folder of its own, both gone with the test. */
export interface TestServer extends AsyncDisposable {
  readonly server: EmbeddedServer
  readonly dataDir: string
}

export async function startServer(options: Partial<ServerOptions> = {}): Promise<TestServer> {
  const folder = temporaryFolder()
  const dataDir = options.dataDir ?? `${folder.path}/data`
  const server = await EmbeddedServer.start({ port: 0, ...options, dataDir })
  return {
    server,
    dataDir,
    async [Symbol.asyncDispose]() {
      await server.close()
      await folder.remove()
    },
  }
}
