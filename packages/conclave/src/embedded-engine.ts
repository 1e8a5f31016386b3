import { spawn } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { connect } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import type { HostProvider } from '@conclave/client'
import {
  Backoff,
  codeOf,
  ConclaveError,
  nodeClock,
  nodeDisk,
  nodePlatform,
  sleep,
  UsageError,
  type Endpoint,
} from '@conclave/core'
import { isProcessAlive } from './process-alive.ts'

/** The embedded server could not be started. The message is the server's own sentence. */
export class EmbeddedServerError extends ConclaveError {
  override readonly name = 'EmbeddedServerError'
  constructor(message: string, cause?: unknown) {
    super(message, { code: 'EMBEDDED_SERVER', cause })
  }
}

/** How long the server stays up after the last session has gone, in milliseconds. */
const IDLE_EXIT_MS = 30_000

/** The exit code of a server that found another live one on its folder. */
const LOCKED_EXIT_CODE = 3

const LOCKED_PAUSE_MS = 100

/** How often a process looks whether the server that another one starts is there. */
const POLL_MS = 10

/** A server that was up for this long did not end because of how it was started. */
const STABLE_MS = 10_000

/** A server that does not answer within this time is taken for dead or stuck. */
const ANSWER_TIMEOUT_MS = 1_000

/** A start that takes longer no longer keeps others from trying. */
const MAX_CLAIM_MS = 60_000

/** How long a server may take to end in order. */
const STOP_GRACE_MS = 10_000

/** The log is begun anew beyond this size, at the next start of the server. */
const MAX_LOG_BYTES = 1_000_000

/** What the server writes to `conclave-server.json` in its folder once it listens. */
interface ServerRecord extends Endpoint {
  readonly pid: number
}

/**
 * The embedded server on a folder, for every process of this machine that names the folder. Whoever needs it and
 * finds it dead starts it, as a process of its own, on the port it had; however many do so at one time, one server
 * comes up and all find it. It ends by itself 30 s after the last session.
 */
export class EmbeddedEngine implements HostProvider {
  /** The absolute path of the folder. */
  readonly folder: string

  /** Between starts, where what is started does not stay. */
  readonly #backoff = new Backoff(nodePlatform.random)
  #startedMs = -Infinity

  /** `folder` is created when the server is first needed. */
  constructor(folder: string) {
    this.folder = resolve(folder)
  }

  /**
   * Where the server listens, after starting it if need be. Rejects with `EmbeddedServerError` when it cannot be, and
   * with `UsageError` when there can never be one on this folder.
   */
  async resolve(signal: AbortSignal): Promise<readonly Endpoint[]> {
    for (;;) {
      signal.throwIfAborted()
      const endpoint = await this.find()
      if (endpoint !== undefined) return [endpoint]
      await this.#pause(signal)
      if (await this.#claimStart()) {
        try {
          this.#startedMs = nodeClock.nowMs()
          await this.#start(this.#readRecord()?.port ?? 0)
        } finally {
          rmSync(this.#path('starting'), { force: true })
        }
      } else {
        await sleep(nodeClock, POLL_MS, signal)
      }
    }
  }

  /** What ended soon after it was started would do so again at once. */
  async #pause(signal: AbortSignal): Promise<void> {
    if (nodeClock.nowMs() - this.#startedMs > STABLE_MS) this.#backoff.reset()
    else await sleep(nodeClock, this.#backoff.nextDelayMs(), signal)
  }

  /** Where the server listens, if one runs. Throws `UsageError` where there can never be one on this folder. */
  async find(): Promise<Endpoint | undefined> {
    const record = this.#readRecord()
    if (record === undefined) this.#checkFolder()
    if (record === undefined || !isProcessAlive(record.pid) || !(await answers(record))) return undefined
    return { host: record.host, port: record.port }
  }

  /** Ends the server, if one runs, without waiting for it to be idle. Resolves when it has gone. */
  async stop(): Promise<void> {
    const record = this.#readRecord()
    if (record === undefined || !isProcessAlive(record.pid) || !(await answers(record))) return
    process.kill(record.pid, 'SIGTERM')
    // What it acknowledged is on disk, so that killing it costs nothing but its goodbye.
    const timer = nodeClock.setTimer(STOP_GRACE_MS, () => process.kill(record.pid, 'SIGKILL'))
    while (isProcessAlive(record.pid)) await sleep(nodeClock, POLL_MS)
    timer.cancel()
  }

  #path(ending: 'json' | 'log' | 'starting'): string {
    return join(this.folder, `conclave-server.${ending}`)
  }

  #readRecord(): ServerRecord | undefined {
    try {
      return JSON.parse(readFileSync(this.#path('json'), 'utf8')) as ServerRecord
    } catch {
      // Not there, or damaged by something else than a server, which writes it in one piece: then it is stale.
      return undefined
    }
  }

  /**
   * Takes the right to start the server, so that not every waiting process starts one. It is only thrift: the lock
   * that counts is the server's own.
   */
  async #claimStart(): Promise<boolean> {
    try {
      await nodeDisk.makeFolder(this.folder)
    } catch (error) {
      throw this.#unusable(error)
    }
    const claim = this.#path('starting')
    try {
      writeFileSync(claim, String(process.pid), { flag: 'wx' })
      return true
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') {
        // Made, perhaps, and not written: the disk is full.
        rmSync(claim, { force: true })
        throw this.#unusable(error)
      }
    }
    if (this.#isAbandoned(claim)) rmSync(claim, { force: true })
    return false
  }

  #isAbandoned(claim: string): boolean {
    try {
      const owner = Number(readFileSync(claim, 'utf8'))
      // Empty for the instant between its creation and its first byte; the pid of a dead one may be taken again.
      const isOld = nodeClock.wallMs() - statSync(claim).mtimeMs > MAX_CLAIM_MS
      return isOld || (owner > 0 && !isProcessAlive(owner))
    } catch {
      // It has just gone.
      return false
    }
  }

  /** Nothing is written to a folder that is somebody else's: the server would refuse it anyway. */
  #checkFolder(): void {
    let names: string[]
    try {
      names = readdirSync(this.folder)
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return
      throw this.#unusable(error)
    }
    const stranger = names.find(name => !name.startsWith('conclave-server.'))
    if (stranger === undefined || names.includes('version-2')) return
    throw new UsageError(
      `${this.folder} is not the data folder of a server (it holds ${stranger}): name an empty or a new one`,
    )
  }

  #unusable(error: unknown): ConclaveError {
    const code = codeOf(error)
    if (code === 'EEXIST' || code === 'ENOTDIR') {
      return new UsageError(
        `${this.folder} is not a folder: name one for the data of the embedded server`,
        error,
      )
    }
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
      return new UsageError(`${this.folder} cannot be written to: name another folder for the data`, error)
    }
    if (code === 'ENOENT') {
      return new UsageError(
        `${this.folder} cannot be made: name a folder for the data in one that exists`,
        error,
      )
    }
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      return new EmbeddedServerError(`the disk with ${this.folder} is full: free some space`, error)
    }
    return new EmbeddedServerError(
      `the embedded server cannot use ${this.folder}: ${(error as Error).message}`,
      error,
    )
  }

  /** Starts the server and waits until it listens; returns as well when another server has the folder. */
  async #start(port: number): Promise<void> {
    const { code, output } = await this.#run(port)
    if (code === undefined) return
    // Another one has just started, or ends just now: soon there is one to find, or none.
    if (code === LOCKED_EXIT_CODE) return sleep(nodeClock, LOCKED_PAUSE_MS)
    // Another program may have taken the port while the server was down.
    if (port !== 0) return this.#start(0)
    const sentence = output.trim().split('\n').at(-1) || `it ended with exit code ${code}`
    throw new EmbeddedServerError(`the embedded server cannot start: ${sentence}`)
  }

  /** Resolves with no `code` when the server listens, and with its exit code and output when it ended before. */
  async #run(port: number): Promise<{ readonly code?: number | null; readonly output: string }> {
    const logPath = this.#path('log')
    const sizeBefore = statSync(logPath, { throwIfNoEntry: false })?.size ?? 0
    const isFull = sizeBefore > MAX_LOG_BYTES
    const log = openSync(logPath, isFull ? 'w' : 'a')
    const program = join(
      dirname(createRequire(import.meta.url).resolve('@conclave/server')),
      '../dist/bin.js',
    )
    const args = ['--data-dir', this.folder, '--port', String(port), '--idle-exit-ms', String(IDLE_EXIT_MS)]
    // Detached: it outlives this process, and a Ctrl-C on this terminal is not for it.
    const child = spawn(process.execPath, [program, ...args], {
      cwd: this.folder,
      detached: true,
      stdio: ['ignore', log, log],
      windowsHide: true,
    })
    closeSync(log)
    let exit: { code: number | null } | undefined
    child.on('exit', code => (exit = { code }))
    child.on('error', () => (exit = { code: null }))
    const listens = (): boolean => child.pid !== undefined && this.#readRecord()?.pid === child.pid
    while (exit === undefined && !listens()) await sleep(nodeClock, POLL_MS)
    child.unref()
    if (exit === undefined) return { output: '' }
    const written = readFileSync(logPath).subarray(isFull ? 0 : sizeBefore)
    return { code: exit.code, output: written.toString('utf8') }
  }
}

/** Whether a ZooKeeper server answers there: pid and port of a dead one may have been given to others. */
function answers(endpoint: Endpoint): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(endpoint)
    const settle = (isUp: boolean): void => {
      socket.destroy()
      resolve(isUp)
    }
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => settle(false))
    socket.once('connect', () => socket.write('ruok'))
    socket.once('data', answer => settle(answer.toString() === 'imok'))
    socket.once('close', () => settle(false))
    socket.once('error', () => settle(false))
  })
}
