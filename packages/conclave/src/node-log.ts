import { consoleLogger, type Logger } from '@conclave/core'

/** Set to 1, it makes the nodes of a local cluster write their log to standard error. */
export const LOG_ENVIRONMENT_VARIABLE = 'CONCLAVE_LOG'

/** The `logger` option of a node, as the environment asks for it. */
export function nodeLogger(): { readonly logger?: Logger } {
  return process.env[LOG_ENVIRONMENT_VARIABLE] === '1' ? { logger: consoleLogger('debug') } : {}
}
