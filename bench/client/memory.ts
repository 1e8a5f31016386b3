/**
 * What the client keeps: memory for 100,000 requests in flight, and the heap after each million of mixed requests,
 * which must not grow. Run it with `node --expose-gc`.
 */
import { ZooKeeper } from '@conclave/client'
import { readArguments } from '../arguments.ts'
import { BENCH_PATH } from './peers.ts'
import { startStub } from './stub.ts'

const IN_FLIGHT = 100_000
const WINDOW = 64

const { millions } = readArguments('node --expose-gc bench/dist/client/memory.js', { millions: 10 })

if (globalThis.gc === undefined) {
  process.stderr.write('start it with node --expose-gc, or the heap shows what was not collected yet\n')
  process.exit(2)
}
const collect = globalThis.gc

const stub = await startStub(16)
const zk = await ZooKeeper.connect(stub.connectString, { sessionTimeoutMs: 30_000 })
await zk.getData(BENCH_PATH)

collect()
const before = process.memoryUsage()
const inFlight = Array.from({ length: IN_FLIGHT }, () => zk.getData(BENCH_PATH))
const { rss, heapUsed } = process.memoryUsage()
const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1)
process.stdout.write(
  `${IN_FLIGHT.toLocaleString('en')} in flight: ${megabytes(rss - before.rss)} MB resident, ` +
    `${megabytes(heapUsed - before.heapUsed)} MB of heap\n`,
)
await Promise.all(inFlight)
inFlight.length = 0

const data = Buffer.alloc(16)
for (let million = 1; million <= millions; million++) {
  let requests = 0
  await Promise.all(
    Array.from({ length: WINDOW }, async (_, worker) => {
      for (; requests < 1e6; requests++) {
        if (worker % 4 === 0) await zk.setData(BENCH_PATH, data)
        else if (worker % 4 === 1) await zk.exists(BENCH_PATH)
        else await zk.getData(BENCH_PATH)
      }
    }),
  )
  collect()
  process.stdout.write(`after ${million} million: ${megabytes(process.memoryUsage().heapUsed)} MB of heap\n`)
}
await zk.close()
stub.stop()
