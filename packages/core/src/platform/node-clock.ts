import type { Clock } from '../clock.ts'

/** The platform's own clock and timers. */
export const nodeClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer(delayMs, callback, options) {
    const handle = setTimeout(callback, delayMs)
    if (options?.unref === true) handle.unref()
    return { cancel: () => clearTimeout(handle) }
  },
}
