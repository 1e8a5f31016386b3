// An audit log is written line by line, each before the change is answered; it is no part of the data.
// oxlint-disable-next-line eslint/no-restricted-imports -- as just said
import { openSync, writeSync } from 'node:fs'
import { codeOf, UsageError, type Clock } from '@conclave/core'
import { auditLine, type AuditListener } from './audit-event.ts'

/**
 * Appends a line for each event to a file that only its owner can read. Throws `UsageError` where it cannot be written:
 * who asks for an audit is not to go without it.
 */
export function auditFile(path: string, clock: Clock): AuditListener {
  try {
    const file = openSync(path, 'a', 0o600)
    return event => writeSync(file, `${new Date(clock.wallMs()).toISOString()} ${auditLine(event)}\n`)
  } catch (error) {
    throw new UsageError(`cannot write the audit log ${path} (${codeOf(error) ?? 'unknown error'})`, error)
  }
}
