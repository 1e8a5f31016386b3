import { createRequire } from 'node:module'
import { ZooKeeper } from '@conclave/client'

/** One session of one client library, with the operations that are compared. */
export interface Driver {
  getData(): Promise<unknown>
  exists(): Promise<unknown>
  setData(): Promise<unknown>
  createAndDelete(): Promise<unknown>
  close(): Promise<void>
}

export interface Peer {
  readonly name: string
  /** `undefined` where the library is not installed. */
  connect(connectString: string, data: Buffer): Promise<Driver | undefined>
}

export const BENCH_PATH = '/bench'

const conclave: Peer = {
  name: 'conclave',
  async connect(connectString, data) {
    const zk = await ZooKeeper.connect(connectString, { sessionTimeoutMs: 30_000 })
    let made = 0
    return {
      getData: () => zk.getData(BENCH_PATH),
      exists: () => zk.exists(BENCH_PATH),
      setData: () => zk.setData(BENCH_PATH, data),
      createAndDelete() {
        const path = `${BENCH_PATH}/c${made++}`
        return Promise.all([zk.create(path, data), zk.delete(path)])
      },
      close: () => zk.close(),
    }
  },
}

/** What is used of the npm package `zookeeper`, a binding to the C library. */
interface CBinding {
  connect(callback: (error: Error | null) => void): void
  get(path: string, watch: boolean): Promise<unknown>
  exists(path: string, watch: boolean): Promise<unknown>
  set(path: string, data: Buffer, version: number): Promise<unknown>
  create(path: string, data: Buffer, flags: number): Promise<unknown>
  delete_(path: string, version: number): Promise<unknown>
  close(): void
  once(event: 'connect' | 'close', listener: () => void): void
  init(options: object): void
}

const cBinding: Peer = {
  name: 'zookeeper (C binding)',
  async connect(connectString, data) {
    const module = load<{ Promise: new (options: object) => CBinding }>('zookeeper')
    if (module === undefined) return undefined
    const zk = new module.Promise({})
    await new Promise<void>(resolve => {
      zk.once('connect', resolve)
      zk.init({ connect: connectString, timeout: 30_000, debug_level: 0, host_order_deterministic: false })
    })
    let made = 0
    return {
      getData: () => zk.get(BENCH_PATH, false),
      exists: () => zk.exists(BENCH_PATH, false),
      setData: () => zk.set(BENCH_PATH, data, -1),
      createAndDelete() {
        const path = `${BENCH_PATH}/b${made++}`
        return Promise.all([zk.create(path, data, 0), zk.delete_(path, -1)])
      },
      close: () => Promise.resolve(zk.close()),
    }
  },
}

type Callback = (error: Error | null, ...results: unknown[]) => void

/** What is used of the npm package `node-zookeeper-client`. */
interface JavaScriptClient {
  once(event: 'connected', listener: () => void): void
  connect(): void
  getData(path: string, callback: Callback): void
  exists(path: string, callback: Callback): void
  setData(path: string, data: Buffer, version: number, callback: Callback): void
  create(path: string, data: Buffer, callback: Callback): void
  remove(path: string, version: number, callback: Callback): void
  close(): void
}

const javaScriptClient: Peer = {
  name: 'node-zookeeper-client',
  async connect(connectString, data) {
    const module = load<{ createClient(connect: string, options: object): JavaScriptClient }>(
      'node-zookeeper-client',
    )
    if (module === undefined) return undefined
    const zk = module.createClient(connectString, { sessionTimeout: 30_000 })
    await new Promise<void>(resolve => {
      zk.once('connected', resolve)
      zk.connect()
    })
    let made = 0
    return {
      getData: () => promised(callback => zk.getData(BENCH_PATH, callback)),
      exists: () => promised(callback => zk.exists(BENCH_PATH, callback)),
      setData: () => promised(callback => zk.setData(BENCH_PATH, data, -1, callback)),
      createAndDelete() {
        const path = `${BENCH_PATH}/j${made++}`
        return Promise.all([
          promised(callback => zk.create(path, data, callback)),
          promised(callback => zk.remove(path, -1, callback)),
        ])
      },
      close: () => Promise.resolve(zk.close()),
    }
  },
}

function promised(call: (callback: Callback) => void): Promise<unknown> {
  return new Promise((resolve, reject) => {
    call((error, result) => (error === null || error === undefined ? resolve(result) : reject(error)))
  })
}

/** The libraries live in a folder of their own (`bench/client/peers`), which nothing else installs. */
function load<T>(name: string): T | undefined {
  const require = createRequire(new URL('../../client/peers/package.json', import.meta.url))
  try {
    return require(name) as T
  } catch {
    return undefined
  }
}

export const PEERS: readonly Peer[] = [conclave, cBinding, javaScriptClient]
