#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { codeOf, consoleLogger, messageOf, UsageError } from '@conclave/core'
import { EmbeddedServer } from './embedded-server.ts'
import type { ServerOptions } from './server-options.ts'

const USAGE =
  'usage: bin.js --data-dir DIR [--host H] [--port P] [--tick-time-ms N] [--idle-exit-ms N] [--snap-count N] [--verbose]'

function readOptions(args: string[]): ServerOptions {
  const { values } = parseArgs({
    args,
    options: {
      'data-dir': { type: 'string' },
      host: { type: 'string' },
      port: { type: 'string' },
      'tick-time-ms': { type: 'string' },
      'idle-exit-ms': { type: 'string' },
      'snap-count': { type: 'string' },
      verbose: { type: 'boolean' },
    },
  })
  const dataDir = values['data-dir']
  if (dataDir === undefined) throw new UsageError(USAGE)
  const port = number(values, 'port')
  const tickTimeMs = number(values, 'tick-time-ms')
  const idleExitMs = number(values, 'idle-exit-ms')
  const snapCount = number(values, 'snap-count')
  return {
    dataDir,
    ...(values.host !== undefined && { host: values.host }),
    ...(port !== undefined && { port }),
    ...(tickTimeMs !== undefined && { tickTimeMs }),
    ...(idleExitMs !== undefined && { idleExitMs }),
    ...(snapCount !== undefined && { snapCount }),
    logger: consoleLogger(values.verbose === true ? 'info' : 'warn'),
  }
}

function number(values: Record<string, unknown>, name: string): number | undefined {
  const text = values[name]
  if (typeof text !== 'string') return undefined
  if (!/^\d+$/.test(text)) throw new UsageError(`--${name} must be a number, not ${text}`)
  return Number(text)
}

/** 2: wrong usage. 3: another server has the folder. 1: anything else. */
function exitCodeOf(error: unknown): number {
  const code = codeOf(error)
  if (code === 'DATA_FOLDER_LOCKED') return 3
  return code === 'USAGE' || code?.startsWith('ERR_PARSE_ARGS') === true ? 2 : 1
}

try {
  const server = await EmbeddedServer.start(readOptions(process.argv.slice(2)))
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void server.close())
  const { host, port } = server.endpoint
  process.stdout.write(JSON.stringify({ event: 'listening', host, port, pid: process.pid }) + '\n')
  await server.closed
} catch (error) {
  process.stderr.write(messageOf(error) + '\n')
  process.exitCode = exitCodeOf(error)
}
