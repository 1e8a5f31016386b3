import type { ZooKeeper } from '@conclave/client'
import { nodeClock, type Timer } from '@conclave/core'
import { say } from './output.ts'

/** A server that is started again, or another one of an ensemble, is there before this time, in milliseconds. */
const PATIENCE_MS = 1_000

/** Says once that the servers have gone, and once that they are back. */
export function tellOfServers(zk: ZooKeeper, interrupted: AbortSignal): void {
  let timer: Timer | undefined
  let isTold = false
  const stop = zk.on('state', ({ state }) => {
    if (state === 'connected') {
      timer?.cancel()
      timer = undefined
      if (isTold) say('The servers are back.')
      isTold = false
    } else if (state === 'suspended') {
      timer ??= nodeClock.setTimer(PATIENCE_MS, tell, { unref: true })
    }
  })
  const tell = (): void => {
    isTold = true
    say('The servers cannot be reached: waiting for them.')
  }
  interrupted.addEventListener('abort', () => {
    stop()
    timer?.cancel()
  })
}
