import { ExitCode } from './exit.ts'

const interrupted = new AbortController()
let interruptedMs = 0
let isListening = false

/** One Ctrl-C may come twice, from the terminal and from npm, which hands it on; this soon nobody presses it again. */
const ECHO_MS = 300

/**
 * A signal that aborts at the first Ctrl-C, or when the process is asked to end, so that the command ends in order.
 * The second Ctrl-C ends the process at once: the nodes notice that their agent is gone and end too.
 */
export function interruptSignal(): AbortSignal {
  if (!isListening) {
    isListening = true
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal)
  }
  return interrupted.signal
}

function onSignal(): void {
  if (interrupted.signal.aborted) {
    if (performance.now() - interruptedMs > ECHO_MS) process.exit(ExitCode.interrupted)
    return
  }
  interruptedMs = performance.now()
  // First: it takes a progress bar off the screen.
  interrupted.abort()
  if (process.stderr.isTTY) process.stderr.write('\nEnding in order; Ctrl-C again ends at once.\n')
}

/** Whether the user asked for the end: then a failure that follows is none. */
export function isInterrupted(): boolean {
  return interrupted.signal.aborted
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
