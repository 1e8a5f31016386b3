import type { Endpoint } from '@conclave/core'
import { ApacheZooKeeper, EmbeddedServerProcess } from '@conclave/testing'

/**
 * In place of what `ApacheZooKeeper` starts tests with: every compiler, the collector that Java chooses by itself on a
 * server, and the heap of `zkServer.sh`.
 */
const JAVA_OPTIONS = ['-XX:TieredStopAtLevel=4', '-XX:-UseSerialGC', '-XX:+UseG1GC', '-Xmx1000m']

/** A server in a process of its own, on a folder that stays. */
export interface RunningServer {
  readonly dataDir: string
  readonly endpoint: Endpoint
  readonly pid: number
  stop(): Promise<void>
  restart(): Promise<void>
  close(): Promise<void>
}

export interface Contender {
  readonly name: string
  start(dataDir: string): Promise<RunningServer>
}

/** Certificates that Node.js is told to read at each start, which takes it longer than all else, are not the server's. */
const ENVIRONMENT = { NODE_EXTRA_CA_CERTS: '' }

export const CONTENDERS: readonly Contender[] = [
  { name: 'embedded', start: dataDir => EmbeddedServerProcess.start({ dataDir, env: ENVIRONMENT }) },
  { name: 'apache', start: dataDir => ApacheZooKeeper.start({ dataDir, javaOptions: JAVA_OPTIONS }) },
]
