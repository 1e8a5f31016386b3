import { arch, freemem, homedir, hostname, platform, release, tmpdir, totalmem, userInfo } from 'node:os'
import type { ClientConnection } from '../net/client-connection.ts'
import { average, figuresOf, monitorLines, orZero } from './figures.ts'
import { opLetters } from './op-letters.ts'
import { folderBytes, hex, nodeCount, VERSION, type ServerFacts } from './server-facts.ts'

type Answer = (facts: ServerFacts, argument: Buffer) => string | Promise<string>

const lines = (...all: readonly string[]): string => all.map(line => line + '\n').join('')

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

/** Of the process and its machine, by Apache's names. */
export function environmentOf(): readonly (readonly [name: string, value: string])[] {
  return [
    ['zookeeper.version', VERSION],
    ['host.name', hostname()],
    ['node.version', process.version],
    ['java.io.tmpdir', tmpdir()],
    ['os.name', platform()],
    ['os.arch', arch()],
    ['os.version', release()],
    ['user.name', userInfo().username],
    ['user.home', homedir()],
    ['user.dir', process.cwd()],
    ['os.memory.free', `${Math.round(freemem() / 2 ** 20)}MB`],
    ['os.memory.max', `${Math.round(totalmem() / 2 ** 20)}MB`],
    ['os.memory.total', `${Math.round(totalmem() / 2 ** 20)}MB`],
  ]
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

const ANSWERS: ReadonlyMap<string, Answer> = new Map<string, Answer>([
  ['ruok', () => 'imok'],
  ['isro', facts => (facts.isReadOnly() ? 'ro' : 'rw')],
  ['srvr', facts => summary(facts, [])],
  [
    'stat',
    facts => summary(facts, ['Clients:', ...[...facts.clients].map(client => briefly(client) + ')'), '']),
  ],
  ['cons', ({ clients }) => lines(...[...clients].map(inDetail), '')],
  ['conf', configuration],
  ['envi', () => lines('Environment:', ...environmentOf().map(([name, value]) => `${name}=${value}`))],
  ['dump', dump],
  ['wchs', watchSummary],
  ['wchc', watchesBySession],
  ['wchp', watchesByPath],
  ['mntr', async facts => lines(...monitorLines(await figuresOf(facts)))],
  [
    'dirs',
    async ({ folder }) =>
      lines(
        `datadir_size: ${await folderBytes(folder, folder.versionPath, /^snapshot\./)}`,
        `logdir_size: ${await folderBytes(folder, folder.logVersionPath, /^log\./)}`,
      ),
  ],
  [
    'hash',
    ({ state }) => lines(...state.digests.map(({ zxid, digest }) => `${zxid.toString(16)}: ${digest}`)),
  ],
  ['gtmk', ({ stats }) => String(stats.traceMask)],
  ['stmk', ({ stats }, argument) => String((stats.traceMask = argument.readBigInt64BE(0)))],
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

/**
 * Answers ZooKeeper's four-letter words, in Apache's format; `undefined` for what is none. With `allowed`, only those.
 * `argument` is what followed the word.
 */
export function answerFourLetterWord(
  word: string,
  argument: Buffer,
  facts: ServerFacts,
  allowed?: readonly string[],
): string | Promise<string> | undefined {
  const answer = ANSWERS.get(word)
  if (answer === undefined || allowed === undefined || allowed.includes(word))
    return answer?.(facts, argument)
  return `${word} is not executed because it is not in the whitelist.\n`
}
