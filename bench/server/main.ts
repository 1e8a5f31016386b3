// The embedded server and Apache ZooKeeper side by side: both run, on one disk, and have the same load in turns, so that what
// the machine does from minute to minute happens to both.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { removeAtExit } from '@conclave/testing'
import { Choice, readArguments } from '../arguments.js'
import { CONTENDERS, type RunningServer } from './contenders.js'
import type { Load, LoadFigures, OperationName } from './loads.js'
import { residentBytes } from './process-figures.js'
import { snapshotWaits } from './snapshot-waits.js'
import { Table } from './table.js'

const CONTENDER_NAMES = CONTENDERS.map(({ name }) => name)

const args = readArguments('npm run bench:server --', {
  parts: new Choice(['requests', 'fan-out', 'sessions', 'start', 'million']),
  servers: new Choice(CONTENDER_NAMES),
  /** How often everything is measured; what is about a million znodes half as often. */
  rounds: 5,
  /** How long a load is measured each time; it runs for two thirds of that before. */
  seconds: 2,
  watchers: 1000,
  sessions: 5000,
  znodes: 1_000_000,
  folder: tmpdir(),
})
const { rounds, znodes, watchers } = args

/** A request load: sessions, and requests in flight on each. */
const REQUESTS: readonly (readonly [OperationName, number, number])[] = [
  ['getData', 8, 64],
  ['exists', 8, 64],
  ['setData', 8, 64],
  ['create', 8, 64],
  ['getData', 1, 64],
  ['getData', 1, 1],
  ['setData', 1, 1],
]
/**
 * At equal load: sessions, and requests a second of all of them. Of what Apache ZooKeeper can do on two cores it is a
 * quarter, and then a half.
 */
const PACED: readonly (readonly [OperationName, number, number])[] = [
  ['getData', 8, 20_000],
  ['getData', 8, 40_000],
  ['setData', 8, 15_000],
  ['setData', 8, 30_000],
  ['create', 8, 8_000],
  ['create', 8, 16_000],
]
/** How many of those may wait for their answers on one session. */
const PACED_WINDOW = 4096
const VALUE_BYTES = 1024
const SMALL_BYTES = 100

async function run(load: Load): Promise<LoadFigures> {
  const program = fileURLToPath(new URL('./load-process.js', import.meta.url))
  const child = spawn(process.execPath, [program, JSON.stringify(load)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  if (code !== 0) throw new Error(`the load generator ended with ${code}`)
  return JSON.parse(output) as LoadFigures
}

function requests(
  { endpoint, pid }: RunningServer,
  operation: OperationName,
  sessions: number,
  window: number,
  perSecond?: number,
): Load {
  const forMs = args.seconds * 1000
  const warmUpMs = (forMs * 2) / 3
  return {
    kind: 'requests',
    endpoint,
    pid,
    operation,
    sessions,
    window,
    ...(perSecond !== undefined && { perSecond }),
    bytes: VALUE_BYTES,
    warmUpMs,
    forMs,
  }
}

type Servers = ReadonlyMap<string, RunningServer>

/** Does it with each of the servers, and again, so often. */
async function inTurns(
  count: number,
  servers: Servers,
  measure: (name: string, server: RunningServer) => Promise<void>,
): Promise<void> {
  for (let round = 0; round < count; round++) {
    for (const [name, server] of servers) {
      // What one has written, and the system writes back later, would be in the way of the next.
      execFileSync('sync')
      await measure(name, server)
    }
  }
}

async function measureRequests(servers: Servers, table: Table): Promise<void> {
  for (const [operation, sessions, window] of REQUESTS) {
    await inTurns(rounds, servers, async (name, server) => {
      const figures = await run(requests(server, operation, sessions, window))
      const what = `${operation} ${sessions} x ${window}`
      table.add(`${what}: requests/s`, name, figures.perSecond, 'more')
      table.add(`${what}: p50 ms`, name, figures.p50Ms)
      table.add(`${what}: p99 ms`, name, figures.p99Ms)
      table.add(`${what}: server CPU us`, name, figures.cpuMicroseconds)
    })
    table.flush()
  }
  for (const [operation, sessions, perSecond] of PACED) {
    await inTurns(rounds, servers, async (name, server) => {
      const figures = await run(requests(server, operation, sessions, PACED_WINDOW, perSecond))
      const what = `${operation} on ${sessions}, ${perSecond} a second`
      table.add(`${what}: p50 ms`, name, figures.p50Ms)
      table.add(`${what}: p99 ms`, name, figures.p99Ms)
    })
    table.flush()
  }
}

async function measureFanOut(servers: Servers, table: Table): Promise<void> {
  await inTurns(rounds, servers, async (name, { endpoint, pid }) => {
    const figures = await run({ kind: 'fanOut', endpoint, pid, watchers, changes: 40 })
    const what = `fan-out to ${watchers}`
    table.add(`${what}: p50 ms`, name, figures.p50Ms)
    table.add(`${what}: p99 ms`, name, figures.p99Ms)
    table.add(`${what}, arming included: server CPU ms`, name, figures.cpuMicroseconds / 1000)
  })
}

async function measureSessions(servers: Servers, table: Table): Promise<void> {
  await inTurns(rounds, servers, async (name, { endpoint, pid }) => {
    const figures = await run({ kind: 'sessions', endpoint, pid, count: args.sessions, concurrency: 128 })
    table.add('sessions created/s', name, figures.perSecond, 'more')
    table.add('session created: p99 ms', name, figures.p99Ms)
    table.add('session created: server CPU us', name, figures.cpuMicroseconds)
  })
}

/** Measures from the start of the process until it serves. */
async function measureStart(what: string, count: number, servers: Servers, table: Table): Promise<void> {
  await inTurns(count, servers, async (name, server) => {
    await server.stop()
    const startedMs = performance.now()
    await server.restart()
    table.add(`${what}: ms`, name, performance.now() - startedMs)
  })
}

/** A folder with many znodes, written by the embedded server: both read the same. */
async function fill(folder: string): Promise<string> {
  const dataDir = join(folder, 'filled')
  const server = await CONTENDERS[0]!.start(dataDir)
  const { endpoint, pid } = server
  const load = { endpoint, pid, operation: 'create', sessions: 4, window: 64, bytes: SMALL_BYTES } as const
  await run({ kind: 'requests', ...load, warmUpMs: 0, limit: znodes, keepsZnodes: true })
  await server.stop()
  return dataDir
}

async function measureMillion(servers: Servers, table: Table): Promise<void> {
  const count = Math.ceil(rounds / 2)
  await measureStart(`start on ${znodes} znodes`, count, servers, table)
  const common = { kind: 'requests', sessions: 1, window: 64, bytes: SMALL_BYTES, warmUpMs: 0 } as const
  for (const [name, { endpoint, pid }] of servers) {
    await run({ ...common, endpoint, pid, operation: 'exists', forMs: 2_000 })
    await sleep(1_000)
    table.add(`${znodes} znodes: resident MB`, name, residentBytes(pid) / 2 ** 20)
  }
  table.flush()
  await inTurns(count, servers, async (name, server) => {
    const { endpoint, pid } = server
    // As many changes as either needs before it takes the next snapshot, and some that run beside it.
    const limit = Math.max(100_000, znodes / 4) * 1.5
    const [{ before, during }] = await Promise.all([
      snapshotWaits(server, 120_000),
      run({ ...common, endpoint, pid, operation: 'setData', limit }),
    ])
    table.add('writes before a snapshot: p99 wait ms', name, before.p99Ms)
    table.add('writes before a snapshot: longest wait ms', name, before.longestMs)
    table.add(`snapshot of ${znodes} znodes: p99 wait ms`, name, during.p99Ms)
    table.add(`snapshot of ${znodes} znodes: longest wait ms`, name, during.longestMs)
  })
}

/** Starts every contender on a folder of its own. */
async function start(folder: string, filled: string | undefined): Promise<Map<string, RunningServer>> {
  const servers = new Map<string, RunningServer>()
  for (const contender of CONTENDERS) {
    if (!args.servers.includes(contender.name)) continue
    const dataDir = join(folder, contender.name)
    if (filled !== undefined) {
      await cp(filled, dataDir, { recursive: true })
    }
    servers.set(contender.name, await contender.start(dataDir))
  }
  return servers
}

/** The parts, and whether its servers begin with many znodes. */
const PARTS: readonly (readonly [string, boolean, (servers: Servers, table: Table) => Promise<void>])[] = [
  ['requests', false, measureRequests],
  ['fan-out', false, measureFanOut],
  ['sessions', false, measureSessions],
  ['start', false, (servers, table) => measureStart('start on an empty folder', rounds, servers, table)],
  ['million', true, measureMillion],
]

process.stdout.write(`load average at the beginning: ${loadavg()[0]!.toFixed(1)}\n`)
const table = new Table(args.servers)
for (const [part, isFilled, measure] of PARTS) {
  if (!args.parts.includes(part)) continue
  const folder = await mkdtemp(join(args.folder, 'conclave-bench-'))
  const forgetFolder = removeAtExit(folder)
  const servers = await start(folder, isFilled ? await fill(folder) : undefined)
  try {
    await measure(servers, table)
    table.flush()
  } finally {
    for (const server of servers.values()) await server.close()
    await rm(folder, { recursive: true })
    forgetFolder()
  }
}
process.stdout.write(`load average at the end: ${loadavg()[0]!.toFixed(1)}\n`)
