import { arch, freemem, homedir, hostname, platform, release, tmpdir, totalmem, userInfo } from 'node:os'
import type { Clock } from '@conclave/core'
import type { ClientConnection } from '../net/client-connection.ts'
import type { ServerState } from '../state/server-state.ts'
import type { DataFolder } from '../storage/data-folder.ts'
import { opLetters } from './op-letters.ts'
import type { TrafficStats } from './server-stats.ts'

/** What this server says it is, in the form that clients parse. The number is the release whose behaviour it has. */
const VERSION = '3.9.5-conclave, built on 2026-11-21 00:00 UTC'

/** What the words tell of. */
export interface ServerFacts {
  readonly state: ServerState
  readonly stats: TrafficStats
  readonly clients: ReadonlySet<ClientConnection>
  readonly folder: DataFolder
  readonly clock: Clock
  readonly startedMs: number
  readonly settings: {
    readonly tickTimeMs: number
    readonly minSessionTimeoutMs: number
    readonly maxSessionTimeoutMs: number
    readonly maxClientCnxns: number
  }
  /** The port that clients use; known once the server listens. */
  readonly clientPort: () => number
  /** The port with TLS; -1 where there is none. */
  readonly securePort: () => number
  /** Answers that wait for the disk. */
  readonly outstanding: () => number
}

type Answer = (facts: ServerFacts) => string | Promise<string>

const hex = (value: bigint | number): string => `0x${BigInt.asUintN(64, BigInt(value)).toString(16)}`
const lines = (...all: readonly string[]): string => all.map(line => line + '\n').join('')
const orZero = (value: number): number => (Number.isFinite(value) ? Math.round(value) : 0)

function average(value: number): string {
  const text = value.toFixed(4).replace(/0+$/, '')
  return text.endsWith('.') ? text + '0' : text
}

/** Apache's tree counts its root twice. */
const nodeCount = ({ state }: ServerFacts): number => state.tree.znodes.size + 1

function summary(facts: ServerFacts, clients: readonly string[]): string {
  const { stats, state } = facts
  const { minMs, averageMs, maxMs } = stats.latency
  return lines(
    `Zookeeper version: ${VERSION}`,
    ...clients,
    `Latency min/avg/max: ${orZero(minMs)}/${average(averageMs)}/${orZero(maxMs)}`,
    `Received: ${stats.received}`,
    `Sent: ${stats.sent}`,
    `Connections: ${facts.clients.size}`,
    `Outstanding: ${facts.outstanding()}`,
    `Zxid: ${hex(state.lastZxid)}`,
    'Mode: standalone',
    `Node count: ${nodeCount(facts)}`,
  )
}

function briefly({ remote, session, stats }: ClientConnection): string {
  return ` /${remote}[${session === undefined ? 0 : 1}](queued=0,recved=${stats.received},sent=${stats.sent}`
}

function inDetail(client: ClientConnection): string {
  const { session, stats } = client
  if (session === undefined) return `${briefly(client)})`
  const { latency } = stats
  const facts = [
    `sid=${hex(session.id)}`,
    `lop=${opLetters(stats.lastOpCode)}`,
    `est=${Math.round(stats.establishedMs)}`,
    `to=${session.timeoutMs}`,
    `lcxid=${hex(stats.lastCxid)}`,
    `lzxid=${hex(stats.lastZxid)}`,
    `lresp=${Math.round(stats.lastResponseMs)}`,
    `llat=${orZero(latency.lastMs)}`,
    `minlat=${orZero(latency.minMs)}`,
    `avglat=${orZero(latency.averageMs)}`,
    `maxlat=${orZero(latency.maxMs)}`,
  ]
  return `${briefly(client)},${facts.join(',')})`
}

async function folderBytes({ disk }: DataFolder, path: string, pattern: RegExp = /./): Promise<number> {
  let bytes = 0
  for (const name of await disk.list(path)) {
    if (!pattern.test(name)) continue
    const file = await disk.open(`${path}/${name}`, 'existing')
    bytes += await file.sizeBytes()
    await file.close()
  }
  return bytes
}

async function configuration(facts: ServerFacts): Promise<string> {
  const { settings, folder } = facts
  const dataBytes = await folderBytes(folder, folder.versionPath)
  const logBytes = await folderBytes(folder, folder.logVersionPath)
  return lines(
    `clientPort=${facts.clientPort()}`,
    `secureClientPort=${facts.securePort()}`,
    `dataDir=${folder.versionPath}`,
    `dataDirSize=${dataBytes}`,
    `dataLogDir=${folder.logVersionPath}`,
    `dataLogSize=${logBytes}`,
    `tickTime=${settings.tickTimeMs}`,
    `maxClientCnxns=${settings.maxClientCnxns}`,
    `minSessionTimeout=${settings.minSessionTimeoutMs}`,
    `maxSessionTimeout=${settings.maxSessionTimeoutMs}`,
    'clientPortListenBacklog=4096',
    'serverId=0',
  )
}

function environment(): string {
  return lines(
    'Environment:',
    `zookeeper.version=${VERSION}`,
    `host.name=${hostname()}`,
    `node.version=${process.version}`,
    `java.io.tmpdir=${tmpdir()}`,
    `os.name=${platform()}`,
    `os.arch=${arch()}`,
    `os.version=${release()}`,
    `user.name=${userInfo().username}`,
    `user.home=${homedir()}`,
    `user.dir=${process.cwd()}`,
    `os.memory.free=${Math.round(freemem() / 2 ** 20)}MB`,
    `os.memory.max=${Math.round(totalmem() / 2 ** 20)}MB`,
    `os.memory.total=${Math.round(totalmem() / 2 ** 20)}MB`,
  )
}

/** Sessions by when they expire, ephemeral znodes by session, connections. */
function dump({ state, clients, clock }: ServerFacts): string {
  const byExpiry = new Map<number, bigint[]>()
  for (const { id, expiresAtMs } of state.sessions.sessions.values()) {
    byExpiry.set(expiresAtMs, [...(byExpiry.get(expiresAtMs) ?? []), id])
  }
  const { ephemerals } = state.tree
  const wallTime = (timeMs: number): string => new Date(clock.wallMs() + timeMs - clock.nowMs()).toUTCString()
  return lines(
    'SessionTracker dump:',
    `Session Sets (${byExpiry.size})/(${state.sessions.sessions.size}):`,
    ...[...byExpiry].flatMap(([timeMs, ids]) => [
      `${ids.length} expire at ${wallTime(timeMs)}:`,
      ...ids.map(id => `\t${hex(id)}`),
    ]),
    'ephemeral nodes dump:',
    `Sessions with Ephemerals (${ephemerals.size}):`,
    ...[...ephemerals].flatMap(([id, paths]) => [`${hex(id)}:`, ...[...paths].map(path => `\t${path}`)]),
    'Connections dump:',
    `Connections Sets (1)/(${clients.size}):`,
    ...[...clients].map(({ remote, sessionId }) => `\tip: /${remote} sessionId: ${hex(sessionId)}`),
  )
}

function watchSummary({ state }: ServerFacts): string {
  const { dataWatches } = state.tree
  const { watcherCount, pathCount, count } = dataWatches
  return lines(`${watcherCount} connections watching ${pathCount} paths`, `Total watches:${count}`)
}

function watchesBySession({ state, clients }: ServerFacts): string {
  const { dataWatches } = state.tree
  const watching = [...clients].filter(client => [...dataWatches.pathsOf(client)].length > 0)
  return lines(
    ...watching.flatMap(client => [
      hex(client.sessionId),
      ...[...dataWatches.pathsOf(client)].map(path => `\t${path}`),
    ]),
    '',
  )
}

function watchesByPath({ state, clients }: ServerFacts): string {
  const byPath = new Map<string, string[]>()
  for (const client of clients) {
    for (const path of state.tree.dataWatches.pathsOf(client)) {
      byPath.set(path, [...(byPath.get(path) ?? []), hex(client.sessionId)])
    }
  }
  return lines(...[...byPath].flatMap(([path, ids]) => [path, ...ids.map(id => `\t${id}`)]), '')
}

/** The figures of `mntr`, by Apache's names. */
export function monitorValues(facts: ServerFacts): Map<string, string | number> {
  const { state, stats, clients, clock } = facts
  const { tree } = state
  let ephemerals = 0
  for (const paths of tree.ephemerals.values()) ephemerals += paths.size
  return new Map<string, string | number>([
    ['zk_version', VERSION],
    ['zk_server_state', 'standalone'],
    ['zk_avg_latency', average(stats.latency.averageMs)],
    ['zk_max_latency', orZero(stats.latency.maxMs)],
    ['zk_min_latency', orZero(stats.latency.minMs)],
    ['zk_packets_received', stats.received],
    ['zk_packets_sent', stats.sent],
    ['zk_num_alive_connections', clients.size],
    ['zk_outstanding_requests', facts.outstanding()],
    ['zk_znode_count', nodeCount(facts)],
    ['zk_watch_count', tree.dataWatches.count + tree.childWatches.count],
    ['zk_ephemerals_count', ephemerals],
    ['zk_approximate_data_size', tree.dataBytes],
    ['zk_global_sessions', state.sessions.sessions.size],
    ['zk_local_sessions', 0],
    ['zk_digest_mismatches_count', 0],
    ['zk_uptime', Math.round(clock.nowMs() - facts.startedMs)],
  ])
}

const ANSWERS: ReadonlyMap<string, Answer> = new Map<string, Answer>([
  ['ruok', () => 'imok'],
  ['isro', () => 'rw'],
  ['srvr', facts => summary(facts, [])],
  [
    'stat',
    facts => summary(facts, ['Clients:', ...[...facts.clients].map(client => briefly(client) + ')'), '']),
  ],
  ['cons', ({ clients }) => lines(...[...clients].map(inDetail), '')],
  ['conf', configuration],
  ['envi', environment],
  ['dump', dump],
  ['wchs', watchSummary],
  ['wchc', watchesBySession],
  ['wchp', watchesByPath],
  ['mntr', facts => lines(...[...monitorValues(facts)].map(([name, value]) => `${name}\t${value}`))],
  [
    'dirs',
    async ({ folder }) =>
      lines(
        `datadir_size: ${await folderBytes(folder, folder.versionPath, /^snapshot\./)}`,
        `logdir_size: ${await folderBytes(folder, folder.logVersionPath, /^log\./)}`,
      ),
  ],
  ['hash', () => ''],
  ['gtmk', () => '306'],
  [
    'srst',
    ({ stats }) => {
      stats.reset()
      return lines('Server stats reset.')
    },
  ],
  [
    'crst',
    ({ clients }) => {
      for (const { stats } of clients) stats.reset()
      return lines('Connection stats reset.')
    },
  ],
])

/** Answers ZooKeeper's four-letter words, in Apache's format; `undefined` for what is none. With `allowed`, only those. */
export function answerFourLetterWord(
  word: string,
  facts: ServerFacts,
  allowed?: readonly string[],
): string | Promise<string> | undefined {
  const answer = ANSWERS.get(word)
  if (answer === undefined || allowed === undefined || allowed.includes(word)) return answer?.(facts)
  return `${word} is not executed because it is not in the whitelist.\n`
}
