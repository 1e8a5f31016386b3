import { codeOf, messageOf, UsageError } from '@conclave/core'
import { CommanderError } from 'commander'
import { Exit, ExitCode } from './exit.ts'
import { isInterrupted } from './interrupt.ts'

/** A line for people. Standard output is for data. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** As ZooKeeper's own tools write zxids, and so fencing tokens. */
export function hex(value: bigint): string {
  return `0x${value.toString(16)}`
}

/** `1 task`, `2 tasks`. */
export function count(number: number, noun: string): string {
  return `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`
}

/** `12 s`, `3 min 12 s`, `5 h 3 min`, `2 d 5 h`: the two largest units that say something. */
export function duration(durationMs: number): string {
  const seconds = Math.floor(durationMs / 1000)
  const units: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ]
  const first = units.findIndex(([number, unit]) => number > 0 || unit === 's')
  return units
    .slice(first, first + 2)
    .map(([number, unit]) => `${number} ${unit}`)
    .join(' ')
}

/** Errors of this code mean that the command was wrong, not that something went wrong. */
const USAGE_CODES = new Set(['USAGE', 'TASK_MODULE', 'JOB_INPUT', 'DATA_FOLDER'])

/** What to do about errors of the packages below, which cannot know of the command line. */
const HINTS: Readonly<Record<string, string>> = {
  CONNECTION_LOSS: 'check that the servers run and that --connect names them',
  SYSTEM_ERROR: 'its disk may be full, its log says',
}

/** Says what went wrong in one sentence, with stacks and causes if `verbose`, and returns the exit code. */
export function report(error: unknown, verbose: boolean): number {
  if (error instanceof Exit) return error.exitCode
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.ok : ExitCode.usage
  if (isInterrupted()) return ExitCode.interrupted
  // A reader that has enough (`| head`) is no failure.
  if (codeOf(error) === 'EPIPE') return ExitCode.ok
  const hint = codeOf(causeOf(error)) === 'EMBEDDED_SERVER' ? undefined : HINTS[codeOf(error) ?? '']
  say(`conclave: ${describe(error, verbose)}${hint === undefined ? '' : `: ${hint}`}`)
  if (verbose) {
    for (let cause = causeOf(error); cause !== undefined; cause = causeOf(cause)) {
      say(`because: ${describe(cause, verbose)}`)
    }
  }
  const isUsage = error instanceof UsageError || USAGE_CODES.has(codeOf(error) ?? '')
  return isUsage ? ExitCode.usage : ExitCode.failure
}

function describe(error: unknown, verbose: boolean): string {
  return (verbose && error instanceof Error && error.stack) || messageOf(error)
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined
}
