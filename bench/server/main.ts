// The embedded server and Apache ZooKeeper side by side: one after the other, on one disk, under the same load.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, open, readdir, rm } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { Choice, readArguments } from '../arguments.js'
import { CONTENDERS, type Contender, type RunningServer } from './contenders.js'
import type { Load, LoadFigures, OperationName } from './loads.js'
import { residentBytes } from './process-figures.js'
import { snapshotWaits } from './snapshot-waits.js'
import { Table } from './table.js'

const CONTENDER_NAMES = CONTENDERS.map(({ name }) => name)

const args = readArguments('npm run bench:server --', {
  parts: new Choice(['requests', 'fan-out', 'sessions', 'start', 'million']),
  servers: new Choice(CONTENDER_NAMES),
  /** How long each operation is measured; the servers are warmed up for two thirds of it before. */
  seconds: 3,
  /** Starts on an empty folder, and on a million znodes half as many. */
  runs: 5,
  watchers: 1000,
  sessions: 5000,
  znodes: 1_000_000,
  folder: tmpdir(),
})
const { runs, znodes, watchers } = args

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

async function measureRequests(name: string, server: RunningServer, table: Table): Promise<void> {
  for (const [operation, sessions, window] of REQUESTS) {
    const figures = await run(requests(server, operation, sessions, window))
    const what = `${operation} ${sessions} x ${window}`
    table.set(`${what}: requests/s`, name, figures.perSecond, 'more')
    table.set(`${what}: p50 ms`, name, figures.p50Ms)
    table.set(`${what}: p99 ms`, name, figures.p99Ms)
    table.set(`${what}: server CPU us`, name, figures.cpuMicroseconds)
  }
  for (const [operation, sessions, perSecond] of PACED) {
    const figures = await run(requests(server, operation, sessions, PACED_WINDOW, perSecond))
    const what = `${operation} on ${sessions}, ${perSecond} a second`
    table.set(`${what}: p50 ms`, name, figures.p50Ms)
    table.set(`${what}: p99 ms`, name, figures.p99Ms)
  }
}

async function measureFanOut(name: string, { endpoint, pid }: RunningServer, table: Table): Promise<void> {
  const figures = await run({ kind: 'fanOut', endpoint, pid, watchers, rounds: 40 })
  table.set(`fan-out to ${watchers}: p50 ms`, name, figures.p50Ms)
  table.set(`fan-out to ${watchers}: p99 ms`, name, figures.p99Ms)
  table.set(`fan-out to ${watchers}, arming included: server CPU ms`, name, figures.cpuMicroseconds / 1000)
}

async function measureSessions(name: string, { endpoint, pid }: RunningServer, table: Table): Promise<void> {
  const figures = await run({
    kind: 'sessions',
    endpoint,
    pid,
    count: args.sessions,
    concurrency: 128,
  })
  table.set('sessions created/s', name, figures.perSecond, 'more')
  table.set('session created: p99 ms', name, figures.p99Ms)
  table.set('session created: server CPU us', name, figures.cpuMicroseconds)
}

/** The median time from the start of the process until it serves. */
async function startMs(server: RunningServer, count: number): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < count; i++) {
    await server.stop()
    const startedMs = performance.now()
    await server.restart()
    times.push(performance.now() - startedMs)
  }
  return times.sort((a, b) => a - b)[count >> 1]!
}

async function measureStart(name: string, server: RunningServer, table: Table): Promise<void> {
  table.set('start on an empty folder: ms', name, await startMs(server, runs))
}

/** A folder with many znodes, written by the embedded server: both read the same. */
async function fill(folder: string): Promise<string> {
  const dataDir = join(folder, 'filled')
  const server = await CONTENDERS[0]!.start(dataDir)
  const { endpoint, pid } = server
  const load = { endpoint, pid, operation: 'create', sessions: 4, window: 64, bytes: SMALL_BYTES } as const
  await run({ kind: 'requests', ...load, warmUpMs: 0, limit: znodes })
  await server.stop()
  return dataDir
}

/** What is written back only later would be in the way of what is measured. */
async function syncFiles(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    await using file = await open(join(entry.parentPath, entry.name), 'r')
    await file.sync()
  }
}

async function measureMillion(
  contender: Contender,
  filled: string,
  folder: string,
  table: Table,
): Promise<void> {
  const { name } = contender
  const dataDir = join(folder, `${name}-million`)
  await cp(filled, dataDir, { recursive: true })
  await syncFiles(dataDir)
  const server = await contender.start(dataDir)
  try {
    table.set(`start on ${znodes} znodes: ms`, name, await startMs(server, Math.ceil(runs / 2)))
    const { endpoint, pid } = server
    const read = { kind: 'requests', endpoint, pid, operation: 'exists', sessions: 1, window: 64 } as const
    await run({ ...read, bytes: SMALL_BYTES, warmUpMs: 0, forMs: 2_000 })
    await sleep(1_000)
    table.set(`${znodes} znodes: resident MB`, name, residentBytes(pid) / 2 ** 20)
    // As many changes as either needs before it takes the next snapshot, and some that run beside it.
    const changes = Math.max(100_000, znodes / 4) * 1.5
    const writes = { ...read, operation: 'setData', bytes: SMALL_BYTES, warmUpMs: 0 } as const
    const [{ before, during }] = await Promise.all([
      snapshotWaits(server, dataDir, 120_000),
      run({ ...writes, limit: changes }),
    ])
    table.set('writes before a snapshot: p99 wait ms', name, before.p99Ms)
    table.set('writes before a snapshot: longest wait ms', name, before.longestMs)
    table.set(`snapshot of ${znodes} znodes: p99 wait ms`, name, during.p99Ms)
    table.set(`snapshot of ${znodes} znodes: longest wait ms`, name, during.longestMs)
  } finally {
    await server.close()
    await rm(dataDir, { recursive: true })
  }
}

const contenders = CONTENDERS.filter(({ name }) => args.servers.includes(name))
const PARTS = {
  requests: measureRequests,
  'fan-out': measureFanOut,
  sessions: measureSessions,
  start: measureStart,
}

process.stdout.write(`load average at the beginning: ${loadavg()[0]!.toFixed(1)}\n`)
const table = new Table(contenders.map(({ name }) => name))
const folder = await mkdtemp(join(args.folder, 'conclave-bench-'))
try {
  for (const [part, measure] of Object.entries(PARTS)) {
    if (!args.parts.includes(part)) continue
    for (const contender of contenders) {
      const dataDir = join(folder, `${contender.name}-${part}`)
      const server = await contender.start(dataDir)
      try {
        await measure(contender.name, server, table)
      } finally {
        await server.close()
      }
      await rm(dataDir, { recursive: true })
    }
    table.flush()
  }
  if (args.parts.includes('million')) {
    const filled = await fill(folder)
    for (const contender of contenders) await measureMillion(contender, filled, folder, table)
    table.flush()
  }
} finally {
  await rm(folder, { recursive: true })
}
process.stdout.write(`load average at the end: ${loadavg()[0]!.toFixed(1)}\n`)
