import { readFileSync } from 'node:fs'
import { uptime } from 'node:os'
import { codeOf } from '../errors.ts'
import { nodeClock } from './node-clock.ts'

/** Which process it is, for others to find out whether it still lives; the id alone is given away again. */
export interface ProcessIdentity {
  readonly pid: number
  /** A time at which it lived, in ISO 8601. */
  readonly startedAt?: string
  /** When it was started: the boot, and the clock tick since. Absent where the system does not tell (no `/proc`). */
  readonly incarnation?: string
}

/** What this process is known by from now on. */
export function ownIdentity(): ProcessIdentity & { readonly startedAt: string } {
  const incarnation = readProcess(process.pid)?.incarnation
  return {
    pid: process.pid,
    startedAt: new Date(nodeClock.wallMs()).toISOString(),
    ...(incarnation === undefined ? {} : { incarnation }),
  }
}

/**
 * Whether that very process still runs, on this host and, where it was in one, in this container: after a restart
 * another process may have its id. One that was killed, and that nobody has waited for, does not run.
 */
export function isStillRunning({ pid, startedAt, incarnation }: ProcessIdentity): boolean {
  if (!isIdInUse(pid)) return false
  const found = readProcess(pid)
  if (found?.isDead === true) return false
  if (incarnation !== undefined && found?.incarnation !== undefined) return found.incarnation === incarnation
  return startedAt === undefined || Date.parse(startedAt) >= earliestStartMs(pid)
}

function isIdInUse(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    // It is there, and another user's.
    return codeOf(error) === 'EPERM'
  }
}

/** `undefined` where the system does not tell of processes, or not of this one. */
function readProcess(pid: number): { readonly isDead: boolean; readonly incarnation?: string } | undefined {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return undefined
  }
  // See proc(5). The second field, the name, is in parentheses and may contain anything; the third is the state.
  const [state = '', ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const isDead = 'ZXx'.includes(state)
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
    // The start time is the 22nd.
    return { isDead, incarnation: `${boot}/${fields[18]}` }
  } catch {
    return { isDead }
  }
}

/** Of a process that has this id now, by the wall clock: no earlier than the boot. */
function earliestStartMs(pid: number): number {
  return nodeClock.wallMs() - (pid === process.pid ? process.uptime() : uptime()) * 1_000
}
