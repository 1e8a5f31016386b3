import { deferred, type Endpoint } from '@conclave/core'
import { createFrame, deleteFrame, existsFrame, getDataFrame, setDataFrame } from './frames.js'
import { Latencies } from './latencies.js'
import { cpuSeconds } from './process-figures.js'
import { fail, WireSession } from './wire-session.js'

/** Whom a load is for. */
export interface Target {
  readonly endpoint: Endpoint
  /** Of the server's process. */
  readonly pid: number
}

export type OperationName = 'getData' | 'exists' | 'setData' | 'create'

/**
 * Each session keeps `window` requests in flight; or, with `perSecond`, all of them together send so many a second, however
 * long the answers take, and `window` is what may be in flight at the most. Ends after `forMs`, or after `limit` requests; it
 * needs one of them.
 */
export interface RequestLoad extends Target {
  readonly kind: 'requests'
  readonly operation: OperationName
  readonly sessions: number
  readonly window: number
  readonly perSecond?: number
  readonly bytes: number
  readonly warmUpMs: number
  readonly forMs?: number
  readonly limit?: number
  /** Whether what was created stays. */
  readonly keepsZnodes?: boolean
}

/** One znode with many watchers is changed, again and again. */
export interface FanOutLoad extends Target {
  readonly kind: 'fanOut'
  readonly watchers: number
  readonly changes: number
}

/** Sessions are made, some at a time. */
export interface SessionLoad extends Target {
  readonly kind: 'sessions'
  readonly count: number
  readonly concurrency: number
}

export type Load = RequestLoad | FanOutLoad | SessionLoad

export interface LoadFigures {
  /** Requests, changes or sessions. */
  readonly count: number
  readonly perSecond: number
  /** Of the server, for each of them. */
  readonly cpuMicroseconds: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Where the generator works. */
export const ROOT = '/bench'
const KEYS = 128
/** Znodes are created below so many parents, as many below one before it is the next one's turn. */
const PARENTS = 1_000
/** How many times as many sessions are made before: until then both servers compile what they do. */
const SESSION_WARM_UPS = 2

export function runLoad(load: Load): Promise<LoadFigures> {
  switch (load.kind) {
    case 'requests':
      return runRequests(load)
    case 'fanOut':
      return runFanOut(load)
    case 'sessions':
      return runSessions(load)
  }
}

function digits(number: number, length: number): string {
  return String(number).padStart(length, '0')
}

export function keyPath(number: number): string {
  return `${ROOT}/key-${digits(number % KEYS, 3)}`
}

/** Measures what happens between its making and `figures`. */
class Meter {
  readonly latencies = new Latencies()
  readonly #pid: number
  readonly #startMs = performance.now()
  readonly #startCpu: number

  constructor(pid: number) {
    this.#pid = pid
    this.#startCpu = cpuSeconds(pid)
  }

  figures(): LoadFigures {
    const { count } = this.latencies
    const seconds = (performance.now() - this.#startMs) / 1000
    return {
      count,
      perSecond: count / seconds,
      cpuMicroseconds: ((cpuSeconds(this.#pid) - this.#startCpu) / count) * 1e6,
      p50Ms: this.latencies.quantile(0.5),
      p99Ms: this.latencies.quantile(0.99),
    }
  }
}

/** The znodes that requests are about. */
async function prepare(
  session: WireSession,
  operation: OperationName,
  data: Buffer,
  below: string,
): Promise<void> {
  const frames = [createFrame(ROOT, Buffer.alloc(0))]
  if (operation === 'create') {
    frames.push(createFrame(below, Buffer.alloc(0)))
    for (let i = 0; i < PARENTS; i++) frames.push(createFrame(`${below}/p-${digits(i, 3)}`, Buffer.alloc(0)))
  } else {
    for (let i = 0; i < KEYS; i++) frames.push(createFrame(keyPath(i), data), setDataFrame(keyPath(i), data))
  }
  await session.ask(frames)
}

async function runRequests(load: RequestLoad): Promise<LoadFigures> {
  const { endpoint, operation, window, warmUpMs, forMs = Infinity, limit = Infinity, perSecond } = load
  const data = Buffer.alloc(load.bytes, 'x')
  const below = `${ROOT}/made-${digits(Date.now() % 1e9, 9)}`
  const sessions: WireSession[] = []
  for (let i = 0; i < load.sessions; i++) sessions.push(await WireSession.open(endpoint))
  await prepare(sessions[0]!, operation, data, below)

  let created = 0
  let sent = 0
  let answered = 0
  let meter = new Meter(load.pid)
  let meterFrom = 0
  const frameOf = (key: number): Buffer => {
    if (operation === 'getData') return getDataFrame(keyPath(key))
    if (operation === 'exists') return existsFrame(keyPath(key))
    if (operation === 'setData') return setDataFrame(keyPath(key), data)
    return createFrame(`${below}/p-000/z-0000000`, data)
  }

  const { promise, resolve } = deferred<LoadFigures>()
  const allAnswered = deferred()
  const senders: ((count: number, nowMs: number) => void)[] = []
  let isOver = false
  const finish = (): void => {
    if (isOver) return
    isOver = true
    resolve(meter.figures())
  }
  for (const [number, session] of sessions.entries()) {
    // A ring: all frames are of one length, and the answers come in the order of the requests.
    const ring = Buffer.concat(Array.from({ length: window }, (_, i) => frameOf(number * window + i)))
    const frameBytes = ring.length / window
    const sentAtMs = new Float64Array(window)
    const parentOffset = ring.indexOf('/p-') + 3
    const nameOffset = ring.indexOf('/z-') + 3
    let head = 0
    let tail = 0
    let inFlight = 0
    const sendNext = (count: number, nowMs: number): void => {
      const from = head
      inFlight += count
      if (inFlight > window) fail(`the server does not keep up with ${perSecond} requests a second`)
      for (let i = 0; i < count; i++) {
        if (operation === 'create') {
          ring.write(
            digits(Math.floor(created / PARENTS) % PARENTS, 3),
            head * frameBytes + parentOffset,
            'latin1',
          )
          ring.write(digits(created++, 7), head * frameBytes + nameOffset, 'latin1')
        }
        sentAtMs[head] = nowMs
        head = head + 1 === window ? 0 : head + 1
      }
      sent += count
      if (from + count <= window) session.send(ring.subarray(from * frameBytes, (from + count) * frameBytes))
      else {
        session.send(ring.subarray(from * frameBytes))
        session.send(ring.subarray(0, (from + count - window) * frameBytes))
      }
    }
    session.onFrames = count => {
      const nowMs = performance.now()
      for (let i = 0; i < count; i++) {
        meter.latencies.add(nowMs - sentAtMs[tail]!)
        tail = tail + 1 === window ? 0 : tail + 1
      }
      answered += count
      inFlight -= count
      if (answered >= limit || nowMs >= meterFrom + forMs) finish()
      if (isOver && answered === sent) allAnswered.resolve()
      if (!isOver && perSecond === undefined) sendNext(Math.min(count, limit - sent), nowMs)
    }
    senders.push(sendNext)
  }
  const startMs = performance.now()
  meterFrom = startMs + warmUpMs
  if (perSecond === undefined) for (const send of senders) send(Math.min(window, limit - sent), startMs)
  else pace(senders, perSecond, startMs, () => isOver)
  if (warmUpMs > 0) setTimeout(() => (meter = new Meter(load.pid)), warmUpMs)
  const figures = await promise
  await allAnswered.promise
  if (operation === 'create' && load.keepsZnodes !== true) await removeCreated(sessions, below, created)
  await endAll(sessions)
  return figures
}

/** Removes the znodes, their parents and what those are in. */
async function removeCreated(sessions: readonly WireSession[], below: string, count: number): Promise<void> {
  const parents = Array.from({ length: PARENTS }, (_, parent) => `${below}/p-${digits(parent, 3)}`)
  let next = 0
  const removeSome = async (session: WireSession): Promise<void> => {
    while (next < count) {
      const to = Math.min(count, next + PARENTS)
      const frames: Buffer[] = []
      for (; next < to; next++) {
        const parent = Math.floor(next / PARENTS) % PARENTS
        frames.push(deleteFrame(`${parents[parent]!}/z-${digits(next, 7)}`))
      }
      await session.ask(frames)
    }
  }
  await Promise.all(sessions.map(removeSome))
  await sessions[0]!.ask([...parents, below].map(path => deleteFrame(path)))
}

/** Sends each millisecond what is due by then, the same on each session; what is due on one goes out together. */
function pace(
  senders: readonly ((count: number, nowMs: number) => void)[],
  perSecond: number,
  startMs: number,
  isOver: () => boolean,
): void {
  const sent = senders.map(() => 0)
  const timer = setInterval(() => {
    if (isOver()) return clearInterval(timer)
    const nowMs = performance.now()
    const due = ((nowMs - startMs) * perSecond) / 1000
    for (const [i, send] of senders.entries()) {
      const count = Math.floor((due + i) / senders.length) - sent[i]!
      if (count === 0) continue
      sent[i]! += count
      send(count, nowMs)
    }
  }, 1)
}

async function runFanOut({ endpoint, pid, watchers: size, changes }: FanOutLoad): Promise<LoadFigures> {
  const changer = await WireSession.open(endpoint)
  await prepare(changer, 'setData', Buffer.alloc(16), ROOT)
  const watchers = await openMany(endpoint, size, 50)
  const arm = getDataFrame(keyPath(0), true)
  const setFrame = setDataFrame(keyPath(0), Buffer.alloc(16))
  const frames = (send: () => void): Promise<void> =>
    new Promise(resolve => {
      let missing = size
      for (const watcher of watchers) {
        watcher.onFrames = count => {
          missing -= count
          if (missing === 0) resolve()
        }
      }
      send()
    })
  let meter = new Meter(pid)
  for (let change = -3; change < changes; change++) {
    if (change === 0) meter = new Meter(pid)
    await frames(() => watchers.forEach(watcher => watcher.send(arm)))
    const startMs = performance.now()
    await frames(() => changer.send(setFrame))
    meter.latencies.add(performance.now() - startMs)
  }
  const figures = meter.figures()
  await endAll([changer, ...watchers])
  return figures
}

async function runSessions({ endpoint, pid, count, concurrency }: SessionLoad): Promise<LoadFigures> {
  for (let round = 0; round < SESSION_WARM_UPS; round++) {
    await endAll(await openMany(endpoint, count, concurrency))
  }
  const meter = new Meter(pid)
  const sessions = await openMany(endpoint, count, concurrency, ms => meter.latencies.add(ms))
  const figures = meter.figures()
  await endAll(sessions)
  return figures
}

/** So that what is measured next does not see them expire. */
async function endAll(sessions: readonly WireSession[]): Promise<void> {
  await Promise.all(sessions.map(session => session.end()))
}

async function openMany(
  endpoint: Endpoint,
  count: number,
  concurrency: number,
  onOpen: (ms: number) => void = () => {},
): Promise<WireSession[]> {
  const sessions: WireSession[] = []
  let begun = 0
  const openSome = async (): Promise<void> => {
    while (begun++ < count) {
      const startMs = performance.now()
      sessions.push(await WireSession.open(endpoint))
      onOpen(performance.now() - startMs)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, openSome))
  return sessions
}
