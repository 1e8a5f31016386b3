import { resolve } from 'node:path'
import type { HostProvider } from '@conclave/client'
import { Backoff, isStillRunning, nodeClock, nodePlatform, sleep, type Endpoint } from '@conclave/core'
import { EmbeddedServerError } from './embedded-server-error.ts'
import { readServerAddress } from './server/address.ts'
import { askServer } from './server/ask.ts'
import { claimStart, releaseStart } from './server/claim.ts'
import { checkServerFolder } from './server/folder.ts'
import { launchServer, LOCKED_EXIT_CODE } from './server/launch.ts'

/** How long the server stays up after the last session has gone, in milliseconds. */
const IDLE_EXIT_MS = 30_000

const LOCKED_PAUSE_MS = 100

/** How often a process looks whether the server that another one starts is there. */
const POLL_MS = 10

/** A server that was up for this long did not end because of how it was started. */
const STABLE_MS = 10_000

/** A server that does not answer within this time is taken for dead or stuck. */
const ANSWER_TIMEOUT_MS = 1_000

/** How long a server may take to end in order. */
const STOP_GRACE_MS = 10_000

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
      if (await claimStart(this.folder)) {
        try {
          this.#startedMs = nodeClock.nowMs()
          await this.#start(readServerAddress(this.folder)?.port ?? 0)
        } finally {
          releaseStart(this.folder)
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
    const record = readServerAddress(this.folder)
    if (record === undefined) checkServerFolder(this.folder)
    if (record === undefined || !isStillRunning(record) || !(await answers(record))) return undefined
    return { host: record.host, port: record.port }
  }

  /** Ends the server, if one runs, without waiting for it to be idle. Resolves when it has gone. */
  async stop(): Promise<void> {
    const record = readServerAddress(this.folder)
    if (record === undefined || !isStillRunning(record) || !(await answers(record))) return
    process.kill(record.pid, 'SIGTERM')
    // What it acknowledged is on disk, so that killing it costs nothing but its goodbye.
    const timer = nodeClock.setTimer(STOP_GRACE_MS, () => process.kill(record.pid, 'SIGKILL'))
    while (isStillRunning(record)) await sleep(nodeClock, POLL_MS)
    timer.cancel()
  }

  /** Starts the server and waits until it listens; returns as well when another server has the folder. */
  async #start(port: number): Promise<void> {
    const args = ['--port', String(port), '--idle-exit-ms', String(IDLE_EXIT_MS)]
    const launched = await launchServer(this.folder, { args, cwd: this.folder })
    if (launched.address !== undefined) return
    // Another one has just started, or ends just now: soon there is one to find, or none.
    if (launched.exitCode === LOCKED_EXIT_CODE) return sleep(nodeClock, LOCKED_PAUSE_MS)
    // Another program may have taken the port while the server was down.
    if (port !== 0) return this.#start(0)
    throw new EmbeddedServerError(`the embedded server cannot start: ${launched.sentence}`)
  }
}

/** Whether a ZooKeeper server answers there: pid and port of a dead one may have been given to others. */
async function answers(endpoint: Endpoint): Promise<boolean> {
  const answer = await askServer(endpoint, 'ruok', ANSWER_TIMEOUT_MS).catch(() => '')
  // One whose configuration does not allow the word answers too.
  return answer === 'imok' || answer.startsWith('ruok is not executed')
}
