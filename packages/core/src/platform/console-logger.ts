import type { Logger, LogLevel } from '../logger.ts'

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 }

/** One line of JSON per message on standard error, from `level` (default `info`) up. */
export function consoleLogger(level: LogLevel = 'info'): Logger {
  return {
    log(at, message, fields) {
      if (RANK[at] < RANK[level]) return
      const line = { time: new Date().toISOString(), level: at, message, ...fields }
      const { stderr } = process
      // A disk that is full, or a reader that is gone, is not to end a program that has something to say about it.
      if (stderr.listenerCount('error') === 0) stderr.on('error', () => {})
      stderr.write(JSON.stringify(line, jsonSafe) + '\n')
    },
  }
}

function jsonSafe(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `0x${BigInt.asUintN(64, value).toString(16)}`
  if (value instanceof Error) return value.message
  return value
}
