#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { codeOf, consoleLogger, messageOf, UsageError } from '@conclave/core'
import { readServerOptions } from './config/command-line.ts'
import { EmbeddedServer } from './embedded-server.ts'
import type { ServerOptions } from './server-options.ts'
import type { SnapshotForm } from './storage/compression/snapshot-form.ts'

const USAGE =
  'usage: bin.cjs --data-dir DIR | --config zoo.cfg [--host H] [--port P] [--tick-time-ms N] [--idle-exit-ms N] [--snap-count N] [--snapshot-compression gz|snappy] [--audit-log FILE] [--verbose]'

async function readOptions(args: string[]): Promise<ServerOptions> {
  const { values } = parseArgs({
    args,
    options: {
      'data-dir': { type: 'string' },
      config: { type: 'string' },
      host: { type: 'string' },
      port: { type: 'string' },
      'tick-time-ms': { type: 'string' },
      'idle-exit-ms': { type: 'string' },
      'snap-count': { type: 'string' },
      'snapshot-compression': { type: 'string' },
      'audit-log': { type: 'string' },
      verbose: { type: 'boolean' },
    },
  })
  if (values['data-dir'] === undefined && values.config === undefined) throw new UsageError(USAGE)
  const logger = consoleLogger(values.verbose === true ? 'info' : 'warn')
  const { options, warnings } = await readServerOptions({
    config: values.config,
    dataDir: values['data-dir'],
    host: values.host,
    port: number(values, 'port'),
    tickTimeMs: number(values, 'tick-time-ms'),
    idleExitMs: number(values, 'idle-exit-ms'),
    snapCount: number(values, 'snap-count'),
    auditLog: values['audit-log'],
    // What it cannot be is told with the other options.
    snapshotCompression: values['snapshot-compression'] as SnapshotForm | undefined,
    logger,
  })
  for (const warning of warnings) logger.log('warn', warning)
  return options
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

async function main(): Promise<void> {
  try {
    const server = await EmbeddedServer.start(await readOptions(process.argv.slice(2)))
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void server.close())
    const { host, port } = server.endpoint
    process.stdout.write(JSON.stringify({ event: 'listening', host, port, pid: process.pid }) + '\n')
    await server.closed
  } catch (error) {
    process.stderr.write(messageOf(error) + '\n')
    process.exitCode = exitCodeOf(error)
  }
}

// No `await` here: the program is built as CommonJS, too.
void main()
