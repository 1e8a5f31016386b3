import { codeOf, type Disk } from '@conclave/core'
import { nodeCount, VERSION, type ServerFacts } from './server-facts.ts'
import type { LatencyStats } from './server-stats.ts'

/** One figure, by Apache's name. A summary tells of many values: how many, their sum, least and most. */
export type Figure =
  | { readonly name: string; readonly kind: 'gauge' | 'counter'; readonly value: number }
  | { readonly name: string; readonly kind: 'summary'; readonly values: LatencyStats }

/** A whole number, and 0 for what nothing was measured of. */
export function orZero(value: number): number {
  return Number.isFinite(value) ? Math.round(value) : 0
}

/** With up to four decimals, and one at least. */
export function average(value: number): string {
  const text = value.toFixed(4).replace(/0+$/, '')
  return text.endsWith('.') ? text + '0' : text
}

/** Everything that is measured, for `mntr` and for Prometheus. */
export async function figuresOf(facts: ServerFacts): Promise<readonly Figure[]> {
  const { state, stats, clients, clock } = facts
  const { tree } = state
  const { latency } = stats
  let ephemerals = 0
  for (const paths of tree.ephemerals.values()) ephemerals += paths.size
  const gauges: Record<string, number> = {
    avg_latency: latency.averageMs,
    max_latency: orZero(latency.maxMs),
    min_latency: orZero(latency.minMs),
    packets_received: stats.received,
    packets_sent: stats.sent,
    num_alive_connections: clients.size,
    outstanding_requests: facts.outstanding(),
    znode_count: nodeCount(facts),
    watch_count: tree.dataWatches.count + tree.childWatches.count,
    ephemerals_count: ephemerals,
    approximate_data_size: tree.dataBytes,
    global_sessions: state.sessions.sessions.size,
    local_sessions: 0,
    ...(await descriptorCount(facts.folder.disk)),
    auth_failed_count: facts.authFailedCount(),
    uptime: Math.round(clock.nowMs() - facts.startedMs),
  }
  const counters: Record<string, number> = {
    connection_rejected: stats.connectionsRejected,
    connection_request_count: stats.connectionRequests,
    stale_sessions_expired: stats.sessionsExpired,
    fsync_threshold_exceed_count: stats.slowSyncs,
    digest_mismatches_count: 0,
  }
  const summaries: Record<string, LatencyStats> = {
    fsynctime: stats.syncTime,
    sync_processor_batch_size: stats.batchSize,
    snapshottime: stats.snapshotTime,
  }
  return [
    ...Object.entries(gauges).map(([name, value]) => ({ name, kind: 'gauge' as const, value })),
    ...Object.entries(counters).map(([name, value]) => ({ name, kind: 'counter' as const, value })),
    ...Object.entries(summaries).map(([name, values]) => ({ name, kind: 'summary' as const, values })),
  ]
}

/** The lines of `mntr`, with `zk_` before each name. */
export function monitorLines(figures: readonly Figure[]): string[] {
  return Object.entries(monitorValues(figures)).map(
    ([name, value]) => `zk_${name}\t${name.startsWith('avg_') ? average(Number(value)) : value}`,
  )
}

/** The figures as plain values; a summary becomes five. */
export function monitorValues(figures: readonly Figure[]): Record<string, string | number> {
  const values: Record<string, string | number> = { version: VERSION, server_state: 'standalone' }
  for (const figure of figures) {
    if (figure.kind !== 'summary') {
      values[figure.name] = figure.value
      continue
    }
    const { name, values: of } = figure
    values[`avg_${name}`] = of.averageMs
    values[`min_${name}`] = orZero(of.minMs)
    values[`max_${name}`] = orZero(of.maxMs)
    values[`cnt_${name}`] = of.count
    values[`sum_${name}`] = orZero(of.totalMs)
  }
  return values
}

/** The figures as Prometheus reads them (text format 0.0.4), with those of the process by its conventions. */
export function prometheusPage(figures: readonly Figure[]): string {
  const { user, system } = process.cpuUsage()
  const all: readonly Figure[] = [
    ...figures,
    { name: 'process_cpu_seconds_total', kind: 'counter', value: (user + system) / 1e6 },
    { name: 'process_resident_memory_bytes', kind: 'gauge', value: process.memoryUsage.rss() },
  ]
  return all.map(figure => `# TYPE ${figure.name} ${figure.kind}\n${samples(figure)}`).join('')
}

function samples(figure: Figure): string {
  const { name } = figure
  if (figure.kind !== 'summary') return `${name} ${figure.value}\n`
  return `${name}_count ${figure.values.count}\n${name}_sum ${figure.values.totalMs}\n`
}

/** How many files and sockets the process has open; nothing where the system has no `/proc`. */
async function descriptorCount(disk: Disk): Promise<Record<string, number>> {
  try {
    return { open_file_descriptor_count: (await disk.list('/proc/self/fd')).length }
  } catch (error) {
    if (codeOf(error) === undefined) throw error
    return {}
  }
}
