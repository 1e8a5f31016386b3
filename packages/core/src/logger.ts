/** Facts beside a log line. Never secrets: no passwords, session passwords, auth data or znode contents. */
export type LogFields = Readonly<Record<string, unknown>>

/** How much a line matters, the least first. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** Where log lines go. Libraries are silent unless given one. */
export interface Logger {
  log(level: LogLevel, message: string, fields?: LogFields): void
}

/** Drops every line: the default everywhere. */
export const silentLogger: Logger = { log: () => {} }

/** A logger that adds the same fields to each line. */
export function withFields(logger: Logger, fields: LogFields): Logger {
  return { log: (level, message, more) => logger.log(level, message, { ...fields, ...more }) }
}
