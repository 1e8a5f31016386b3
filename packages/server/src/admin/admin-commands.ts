import { DIGEST_VERSION } from '@conclave/protocol'
import type { ClientConnection } from '../net/client-connection.ts'
import { average, figuresOf, monitorValues, orZero } from './figures.ts'
import { environmentOf } from './four-letter-words.ts'
import { opLetters } from './op-letters.ts'
import { folderBytes, nodeCount, VERSION, type ServerFacts } from './server-facts.ts'

/** The fields of an answer; 64-bit ids are bigint. */
export type CommandAnswer = Readonly<Record<string, unknown>>

const INT64 = /^-?\d{1,19}$/

interface AdminCommand {
  /** The first one stands in the answer and in the list of commands. */
  readonly names: readonly [string, ...string[]]
  run(facts: ServerFacts, query: URLSearchParams): CommandAnswer | Promise<CommandAnswer>
}

function connections(
  { clients }: ServerFacts,
  describe: (client: ClientConnection) => CommandAnswer,
): CommandAnswer {
  const all = [...clients]
  return {
    connections: all.filter(({ isSecure }) => !isSecure).map(describe),
    secure_connections: all.filter(({ isSecure }) => isSecure).map(describe),
  }
}

function briefly({ remote, stats }: ClientConnection): CommandAnswer {
  return {
    remote_socket_address: remote,
    outstanding_requests: 0,
    packets_received: stats.received,
    packets_sent: stats.sent,
  }
}

function inDetail(client: ClientConnection): CommandAnswer {
  const { session, stats } = client
  const { latency } = stats
  return {
    ...briefly(client),
    session_id: client.sessionId,
    last_operation: opLetters(stats.lastOpCode),
    established: Math.round(stats.establishedMs),
    session_timeout: session?.timeoutMs ?? 0,
    last_cxid: stats.lastCxid,
    last_zxid: stats.lastZxid,
    last_response_time: Math.round(stats.lastResponseMs),
    last_latency: orZero(latency.lastMs),
    min_latency: orZero(latency.minMs),
    avg_latency: orZero(latency.averageMs),
    max_latency: orZero(latency.maxMs),
  }
}

async function sizes({ folder }: ServerFacts): Promise<{ data: number; log: number }> {
  return {
    data: await folderBytes(folder, folder.versionPath, /^snapshot\./),
    log: await folderBytes(folder, folder.logVersionPath, /^log\./),
  }
}

async function serverStats(facts: ServerFacts): Promise<CommandAnswer> {
  const { stats, state, clients, clock } = facts
  const { data, log } = await sizes(facts)
  return {
    version: VERSION,
    read_only: facts.isReadOnly(),
    server_stats: {
      packets_sent: stats.sent,
      packets_received: stats.received,
      fsync_threshold_exceed_count: stats.slowSyncs,
      data_dir_size: data,
      log_dir_size: log,
      server_state: 'standalone',
      last_processed_zxid: state.lastZxid,
      outstanding_requests: facts.outstanding(),
      avg_latency: Number(average(stats.latency.averageMs)),
      max_latency: orZero(stats.latency.maxMs),
      min_latency: orZero(stats.latency.minMs),
      num_alive_client_connections: clients.size,
      auth_failed_count: facts.authFailedCount(),
      uptime: Math.round(clock.nowMs() - facts.startedMs),
    },
    node_count: nodeCount(facts),
  }
}

function configuration({ settings, folder, ...facts }: ServerFacts): CommandAnswer {
  return {
    client_port: facts.clientPort(),
    secure_client_port: facts.securePort(),
    data_dir: folder.versionPath,
    data_log_dir: folder.logVersionPath,
    tick_time: settings.tickTimeMs,
    max_client_cnxns: settings.maxClientCnxns,
    min_session_timeout: settings.minSessionTimeoutMs,
    max_session_timeout: settings.maxSessionTimeoutMs,
    server_id: 0,
    client_port_listen_backlog: 4096,
  }
}

function dump({ state, clock }: ServerFacts): CommandAnswer {
  const byExpiry: Record<string, bigint[]> = {}
  for (const { id, expiresAtMs } of state.sessions.sessions.values()) {
    const wallMs = Math.round(clock.wallMs() + expiresAtMs - clock.nowMs())
    ;(byExpiry[wallMs] ??= []).push(id)
  }
  return {
    expiry_time_to_session_ids: byExpiry,
    session_id_to_ephemeral_paths: Object.fromEntries(
      [...state.tree.ephemerals].map(([id, paths]) => [String(id), [...paths]]),
    ),
  }
}

function watchesBySession({ state, clients }: ServerFacts): CommandAnswer {
  const watched = [...clients].map(
    client => [String(client.sessionId), [...state.tree.dataWatches.pathsOf(client)]] as const,
  )
  return { session_id_to_watched_paths: Object.fromEntries(watched.filter(([, paths]) => paths.length > 0)) }
}

function watchesByPath({ state, clients }: ServerFacts): CommandAnswer {
  const byPath = new Map<string, bigint[]>()
  for (const client of clients) {
    for (const path of state.tree.dataWatches.pathsOf(client)) {
      byPath.set(path, [...(byPath.get(path) ?? []), client.sessionId])
    }
  }
  return { path_to_session_ids: Object.fromEntries(byPath) }
}

function setTraceMask({ stats }: ServerFacts, query: URLSearchParams): CommandAnswer {
  const wanted = query.get('traceMask')
  if (wanted === null) return { error: 'setTraceMask requires long traceMask argument' }
  if (!INT64.test(wanted) || BigInt.asIntN(64, BigInt(wanted)) !== BigInt(wanted)) {
    return { error: `setTraceMask requires long traceMask argument, got ${wanted}` }
  }
  stats.traceMask = BigInt(wanted)
  return { tracemask: stats.traceMask }
}

async function lastSnapshot({ folder }: ServerFacts): Promise<CommandAnswer> {
  const last = (await folder.snapshots()).at(-1)
  return { zxid: (last?.zxid ?? -1).toString(16) }
}

/** The commands of Apache's AdminServer, as far as they mean something for a server that is one by itself. */
const COMMANDS: readonly AdminCommand[] = [
  { names: ['configuration', 'conf', 'config'], run: configuration },
  { names: ['connections', 'cons'], run: facts => connections(facts, inDetail) },
  {
    names: ['connection_stat_reset', 'crst'],
    run({ clients }) {
      for (const { stats } of clients) stats.reset()
      return {}
    },
  },
  {
    names: ['dirs'],
    async run(facts) {
      const { data, log } = await sizes(facts)
      return { datadir_size: data, logdir_size: log }
    },
  },
  { names: ['dump'], run: dump },
  { names: ['environment', 'env', 'envi'], run: () => Object.fromEntries(environmentOf()) },
  { names: ['get_trace_mask', 'gtmk'], run: ({ stats }) => ({ tracemask: stats.traceMask }) },
  {
    names: ['hash'],
    run: ({ state }) => ({ digests: state.digests.map(at => ({ ...at, digestVersion: DIGEST_VERSION })) }),
  },
  { names: ['is_read_only', 'isro'], run: facts => ({ read_only: facts.isReadOnly() }) },
  { names: ['last_snapshot', 'lsnp'], run: lastSnapshot },
  { names: ['leader', 'lead'], run: () => ({ error: 'server is not initialized' }) },
  { names: ['monitor', 'mntr'], run: async facts => monitorValues(await figuresOf(facts)) },
  { names: ['observer_connection_stat_reset', 'orst'], run: () => ({}) },
  { names: ['observers', 'obsr'], run: () => ({ synced_observers: 0, observers: [] }) },
  { names: ['ruok'], run: () => ({}) },
  { names: ['server_stats', 'srvr'], run: serverStats },
  { names: ['set_trace_mask', 'stmk'], run: setTraceMask },
  {
    names: ['stat_reset', 'srst'],
    run({ stats }) {
      stats.reset()
      return {}
    },
  },
  {
    names: ['stats', 'stat'],
    run: async facts => ({ ...(await serverStats(facts)), ...connections(facts, briefly) }),
  },
  { names: ['voting_view'], run: () => ({ current_config: {} }) },
  {
    names: ['watch_summary', 'wchs'],
    run({ state }) {
      const { watcherCount, pathCount, count } = state.tree.dataWatches
      return { num_connections: watcherCount, num_paths: pathCount, num_total_watches: count }
    },
  },
  { names: ['watches', 'wchc'], run: watchesBySession },
  { names: ['watches_by_path', 'wchp'], run: watchesByPath },
  { names: ['zabstate'], run: () => ({ voting: false, zabstate: '' }) },
]

const BY_NAME: ReadonlyMap<string, AdminCommand> = new Map(
  COMMANDS.flatMap(command => command.names.map(name => [name, command] as const)),
)

/** The first name of each command. */
export const COMMAND_NAMES: readonly string[] = COMMANDS.map(({ names }) => names[0])

/** What each says while the server does not serve. */
export const NOT_SERVING = 'This ZooKeeper instance is not currently serving requests'

/**
 * Answers a command with its fields, its name and an error, which is null where there is none. `facts` are missing while
 * the server does not serve.
 */
export async function runCommand(
  name: string,
  query: URLSearchParams,
  facts: ServerFacts | undefined,
): Promise<CommandAnswer> {
  const command = BY_NAME.get(name)
  if (command === undefined) return { command: name, error: `Unknown command: ${name}` }
  if (facts === undefined) return { command: name, error: NOT_SERVING }
  const answer = await command.run(facts, query)
  return { ...answer, command: command.names[0], error: answer['error'] ?? null }
}
