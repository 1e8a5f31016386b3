import { codeOf, ConclaveError, isStillRunning, nodeClock, sleep } from '@conclave/core'
import { askServer } from './ask.ts'
import type { FoundServer } from './find.ts'

/** A server answers what is on its way to the disk and closes its files: that takes longer only where it hangs. */
const END_TIMEOUT_MS = 30_000

/** How often it is looked whether it has gone. */
const POLL_MS = 10

/** Where it is not certain which process it is, it must answer within this time. */
const ANSWER_TIMEOUT_MS = 5_000

/**
 * Ends a server in order, and resolves when its process has gone. It is never killed: when it does not end, it is told
 * what to do. Throws the signal's reason; the server ends all the same.
 */
export async function stopServer(
  server: FoundServer,
  signal?: AbortSignal,
  timeoutMs: number = END_TIMEOUT_MS,
): Promise<void> {
  const { identity } = server
  const { pid } = identity
  if (!(await isCertain(server))) {
    throw notStopped(`it cannot be told whether process ${pid} still is the server: end it yourself if it is`)
  }
  if (!ask(pid)) return
  const deadlineMs = nodeClock.nowMs() + timeoutMs
  while (isStillRunning(identity)) {
    if (nodeClock.nowMs() > deadlineMs) {
      throw notStopped(
        `the server, process ${pid}, has not ended within ${timeoutMs / 1000} s: if it hangs, 'kill -9 ${pid}' ends it, and nothing that it acknowledged is lost`,
      )
    }
    await sleep(nodeClock, POLL_MS, signal)
  }
}

/**
 * Whether it is the very process that was found, and not another one with its id: either the system tells, or it answers
 * as a server does.
 */
async function isCertain({ identity, address }: FoundServer): Promise<boolean> {
  if (identity.incarnation !== undefined) return true
  if (address === undefined) return false
  return (await askServer(address, 'srvr', ANSWER_TIMEOUT_MS).catch(() => '')) !== ''
}

/** `false` where it has just gone. */
function ask(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGTERM')
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return false
    throw notStopped(`the server, process ${pid}, is another user's: stop it as that user`, error)
  }
}

function notStopped(message: string, cause?: unknown): ConclaveError {
  return new ConclaveError(message, { code: 'SERVER_NOT_STOPPED', cause })
}
