/**
 * Clients side by side: requests a second, CPU per request and latency, for each operation and window (requests in
 * flight), on one session; the median of several rounds. Against a stub that answers at once, or with `--connect` against a server.
 */
import { NodeExistsError, ZooKeeper } from '@conclave/client'
import { Choice, readArguments } from '../arguments.ts'
import { BENCH_PATH, PEERS, type Driver, type Peer } from './peers.ts'
import { startStub } from './stub.ts'

const OPERATIONS = ['getData', 'exists', 'setData', 'createAndDelete'] as const
type OperationName = (typeof OPERATIONS)[number]

/** How many requests one call of an operation makes. */
const REQUESTS_PER_CALL: Record<OperationName, number> = {
  getData: 1,
  exists: 1,
  setData: 1,
  createAndDelete: 2,
}

interface Figures {
  readonly perSecond: number
  readonly cpuMicroseconds: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const PEER_NAMES = PEERS.map(({ name }) => name.split(' ')[0]!)

/** Peers that are not installed are left out: `npm run bench:client:peers`. */
const args = readArguments('npm run bench:client --', {
  /** A server's `host:port`; a stub where there is none. */
  connect: '',
  operations: new Choice(OPERATIONS),
  windows: [1, 64, 256],
  seconds: 1,
  rounds: 3,
  bytes: 1024,
  peers: new Choice(PEER_NAMES),
})

async function prepare(connectString: string, data: Buffer): Promise<void> {
  await using zk = await ZooKeeper.connect(connectString)
  await zk.create(BENCH_PATH, data).catch((error: unknown) => {
    if (!(error instanceof NodeExistsError)) throw error
  })
}

async function run(
  driver: Driver,
  operation: OperationName,
  window: number,
  forMs: number,
): Promise<Figures> {
  const latencies: number[] = []
  const startMs = performance.now()
  const endMs = startMs + forMs
  const cpu = process.cpuUsage()
  const worker = async (sampled: boolean): Promise<number> => {
    let calls = 0
    for (let nowMs = startMs; nowMs < endMs; calls++) {
      // One of the window's workers takes the times of all it does; the others look at the clock now and then.
      await driver[operation]()
      if (!sampled && calls % 32 !== 0) continue
      const thenMs = performance.now()
      if (sampled) latencies.push(thenMs - nowMs)
      nowMs = thenMs
    }
    return calls
  }
  const calls = await Promise.all(Array.from({ length: window }, (_, i) => worker(i === 0)))
  const seconds = (performance.now() - startMs) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const requests = calls.reduce((sum, each) => sum + each, 0) * REQUESTS_PER_CALL[operation]
  latencies.sort((a, b) => a - b)
  return {
    perSecond: requests / seconds,
    cpuMicroseconds: (user + system) / requests,
    p50Ms: latencies[Math.floor(latencies.length * 0.5)] ?? NaN,
    p99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? NaN,
  }
}

function line(cells: readonly string[]): string {
  const widths = [24, 16, 7, 12, 9, 9, 9]
  return (
    cells.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(' ') + '\n'
  )
}

/** The middle one by rate. */
function median(rounds: readonly Figures[]): Figures {
  return [...rounds].sort((a, b) => a.perSecond - b.perSecond)[Math.floor(rounds.length / 2)]!
}

/** The clients take turns, so that what else the machine does meanwhile falls on all of them. */
async function measure(
  drivers: ReadonlyMap<Peer, Driver>,
  operation: OperationName,
  window: number,
): Promise<void> {
  const forMs = args.seconds * 1000
  const figures = new Map<Peer, Figures[]>([...drivers.keys()].map(peer => [peer, []]))
  for (const driver of drivers.values()) await run(driver, operation, window, Math.min(300, forMs))
  for (let round = 0; round < args.rounds; round++) {
    for (const [peer, driver] of drivers) {
      figures.get(peer)!.push(await run(driver, operation, window, forMs))
    }
  }
  for (const [peer, rounds] of figures) {
    const { perSecond, cpuMicroseconds, p50Ms, p99Ms } = median(rounds)
    process.stdout.write(
      line([
        peer.name,
        operation,
        String(window),
        Math.round(perSecond).toLocaleString('en'),
        cpuMicroseconds.toFixed(2),
        p50Ms.toFixed(3),
        p99Ms.toFixed(3),
      ]),
    )
  }
}

const data = Buffer.alloc(args.bytes, 'x')
const stub = args.connect === '' ? await startStub(data.length) : undefined
const connectString = stub?.connectString ?? args.connect
await prepare(connectString, data)
process.stdout.write(line(['client', 'operation', 'window', 'requests/s', 'CPU us', 'p50 ms', 'p99 ms']))
const drivers = new Map<Peer, Driver>()
for (const peer of PEERS.filter((_, i) => args.peers.includes(PEER_NAMES[i]!))) {
  const driver = await peer.connect(connectString, data)
  if (driver !== undefined) drivers.set(peer, driver)
}
for (const operation of args.operations) {
  for (const window of args.windows) await measure(drivers, operation, window)
}
await Promise.all([...drivers.values()].map(driver => driver.close()))
stub?.stop()
// The C binding keeps threads that would hold the process.
process.exit(0)
