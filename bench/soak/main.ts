// One server, driven for long with everything that clients do, and that they should not do: does anything grow?
//
//     npm run soak -- --minutes 15
//
// Every so many seconds the traffic rests until all sessions have ended, and the figures are taken. At the end it is said
// how each has moved over the last two thirds of the time. Exits with 1 where one of them grows, or something was left over
// at the end, with 2 where the time was too short to tell, and with 3 for wrong arguments.

import { removeAtExit } from '@conclave/testing'
import { mkdtemp, rm } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Choice, readArguments } from '../arguments.ts'
import { BOUNDS, monitored, takeSample, type FigureName, type Sample } from './samples.ts'
import { SoakedServer } from './soaked-server.ts'
import { HABITS, Traffic } from './traffic.ts'
import { judge, trendOf, type Verdict } from './trend.ts'

const args = readArguments('npm run soak --', {
  minutes: 15,
  /** Seconds of traffic before each sample. */
  every: 10,
  /** How many visitors of each habit there are at a time. */
  lanes: 2,
  folder: tmpdir(),
  habits: new Choice(Object.keys(HABITS)),
})
const FOR_MS = args.minutes * 60_000
/** How many rows are printed on the way, at most. */
const ROWS = 30
const EXIT_CODES: Readonly<Record<Verdict, number>> = { flat: 0, grows: 1, unsure: 2 }

const names = Object.keys(BOUNDS) as FigureName[]

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

function format(value: number): string {
  return Number.isInteger(value) ? value.toLocaleString('en') : value.toFixed(1)
}

/** The first cell to the left, the others as wide as what stands above them. */
function row(first: string, cells: readonly string[]): string {
  return first.padEnd(7) + cells.map((cell, i) => cell.padStart(names[i]!.length + 3)).join('')
}

function listed(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, count]) => `${name} ${format(count)}`).join(', ') || 'none'
}

interface Watched {
  readonly samples: readonly Sample[]
  /** What was there after the last visitor had left. */
  readonly leftOver: string
}

/** Takes samples until the time is over; nobody comes then. */
async function watchOver(server: SoakedServer, traffic: Traffic, dataDir: string): Promise<Watched> {
  const samples: Sample[] = []
  const startMs = performance.now()
  print(row('minute', names))
  for (let printed = 0; ;) {
    await sleep(args.every * 1_000)
    const leftOver = await traffic.rest()
    const sample = await takeSample(server, dataDir)
    samples.push(sample)
    const passedMs = sample.atMs - startMs
    const isLast = passedMs >= FOR_MS
    if (isLast || passedMs >= (printed * FOR_MS) / ROWS) {
      printed++
      const cells = names.map(name => format(sample[name]))
      print(row((passedMs / 60_000).toFixed(1), cells))
    }
    if (isLast) return { samples, leftOver }
    traffic.resume()
  }
}

/** The figures of the later part, when everything has been there once. */
function report(samples: readonly Sample[]): Verdict {
  const later = samples.slice(Math.floor(samples.length / 3))
  const verdicts = new Set<Verdict>()
  const line = (name: string, cells: readonly string[]): string =>
    name.padEnd(28) + cells.map(cell => cell.padStart(10)).join('')
  print(`\n${line('the last two thirds', ['an hour', '+/-', 'bound'])}`)
  for (const name of names) {
    const trend = trendOf(later.map(sample => ({ atMs: sample.atMs, value: sample[name] })))
    const verdict = judge(trend, BOUNDS[name])
    verdicts.add(verdict)
    const { perHour, errorPerHour } = trend
    const cells = [perHour.toFixed(1), (2 * errorPerHour).toFixed(1), String(BOUNDS[name])]
    print(`${line(name, cells)}  ${verdict}`)
  }
  return verdicts.has('grows') ? 'grows' : verdicts.has('unsure') ? 'unsure' : 'flat'
}

const folder = await mkdtemp(join(args.folder, 'conclave-soak-'))
removeAtExit(folder)
const dataDir = join(folder, 'data')
const server = await SoakedServer.start(dataDir)
try {
  const traffic = await Traffic.prepare(server)
  print(`load average at the beginning: ${loadavg()[0]!.toFixed(1)}`)
  traffic.begin(args.habits, args.lanes)
  const { samples, leftOver } = await Promise.race([watchOver(server, traffic, dataDir), traffic.failed])
  traffic.end()
  const verdict = report(samples)
  const told = await monitored(server)
  print(`\nvisits: ${listed(traffic.visits)}`)
  print(`cut short: ${listed(traffic.cutShort)}`)
  print(`requests answered: ${format(told('packets_sent'))}, snapshots: ${told('cnt_snapshottime')}`)
  print(leftOver === '' ? 'nothing was left over' : `left over: ${leftOver}`)
  print(`load average at the end: ${loadavg()[0]!.toFixed(1)}`)
  print(verdict)
  process.exitCode = leftOver === '' ? EXIT_CODES[verdict] : 1
} finally {
  await server.close()
  await rm(folder, { recursive: true })
}
