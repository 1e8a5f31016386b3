import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ApacheZooKeeper, type ApacheZooKeeperOptions } from './apache-zookeeper.ts'
import { fourLetterWord } from './four-letter-word.ts'
import { freePort } from './free-port.ts'

export interface ApacheEnsembleOptions extends Pick<ApacheZooKeeperOptions, 'tickTimeMs' | 'settings'> {
  /** How many servers. Default 3. */
  readonly size?: number
}

/** An ensemble of real Apache ZooKeeper servers on the loopback address, each its own process. */
export class ApacheEnsemble implements AsyncDisposable {
  /** By `myid`: the first has 1. Kill, stop and restart them one by one. */
  readonly servers: readonly ApacheZooKeeper[]

  private constructor(servers: readonly ApacheZooKeeper[]) {
    this.servers = servers
  }

  /** Resolves when every server serves requests. */
  static async start({ size = 3, ...options }: ApacheEnsembleOptions = {}): Promise<ApacheEnsemble> {
    const lines: Record<string, string> = {}
    const ports: number[] = []
    for (let id = 1; id <= size; id++) {
      const port = await freePort()
      ports.push(port)
      // With the client's address, as a reconfiguration wants it.
      lines[`server.${id}`] = `127.0.0.1:${await freePort()}:${await freePort()};127.0.0.1:${port}`
    }
    const servers: ApacheZooKeeper[] = []
    for (const [i, port] of ports.entries()) {
      const id = i + 1
      const settings = { initLimit: 10, syncLimit: 5, ...options.settings, ...lines }
      const server = await ApacheZooKeeper.prepare({ ...options, port, settings })
      await mkdir(server.dataDir, { recursive: true })
      await writeFile(join(server.dataDir, 'myid'), `${id}\n`)
      servers.push(server)
    }
    const ensemble = new ApacheEnsemble(servers)
    try {
      await Promise.all(servers.map(server => server.restart()))
    } catch (error) {
      await ensemble.close()
      throw error
    }
    return ensemble
  }

  /** All servers, as clients take them. */
  get connectString(): string {
    return this.servers.map(server => server.connectString).join(',')
  }

  /** The server that leads the quorum at present, if there is one. */
  async quorumLeader(): Promise<ApacheZooKeeper | undefined> {
    for (const server of this.servers) {
      const answer = await fourLetterWord(server.endpoint, 'srvr', 1_000).catch(() => '')
      if (answer.includes('Mode: leader')) return server
    }
    return undefined
  }

  /** Kills all servers and removes their folders. */
  async close(): Promise<void> {
    await Promise.all(this.servers.map(server => server.close()))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
