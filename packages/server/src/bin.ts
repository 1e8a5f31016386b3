#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { codeOf, consoleLogger, messageOf, nodeDisk, UsageError } from '@conclave/core'
import { readZooCfg } from './config/zoo-cfg.ts'
import { EmbeddedServer } from './embedded-server.ts'
import type { ServerOptions } from './server-options.ts'
import { readFile } from './storage/read-file.ts'

const USAGE =
  'usage: bin.js --data-dir DIR | --config zoo.cfg [--host H] [--port P] [--tick-time-ms N] [--idle-exit-ms N] [--snap-count N] [--verbose]'

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
      verbose: { type: 'boolean' },
    },
  })
  const logger = consoleLogger(values.verbose === true ? 'info' : 'warn')
  const configured = values.config === undefined ? undefined : readZooCfg(await readConfig(values.config))
  for (const warning of configured?.warnings ?? []) logger.log('warn', warning)
  const dataDir = values['data-dir'] ?? configured?.options.dataDir
  if (dataDir === undefined) throw new UsageError(USAGE)
  const port = number(values, 'port')
  const tickTimeMs = number(values, 'tick-time-ms')
  const idleExitMs = number(values, 'idle-exit-ms')
  const snapCount = number(values, 'snap-count')
  return {
    ...configured?.options,
    dataDir,
    ...(values.host !== undefined && { host: values.host }),
    ...(port !== undefined && { port }),
    ...(tickTimeMs !== undefined && { tickTimeMs }),
    ...(idleExitMs !== undefined && { idleExitMs }),
    ...(snapCount !== undefined && { snapCount }),
    logger,
  }
}

async function readConfig(path: string): Promise<string> {
  try {
    return (await readFile(nodeDisk, path)).toString()
  } catch (error) {
    throw new UsageError(`cannot read the configuration ${path} (${codeOf(error) ?? 'unknown error'})`, error)
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
  const server = await EmbeddedServer.start(await readOptions(process.argv.slice(2)))
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void server.close())
  const { host, port } = server.endpoint
  process.stdout.write(JSON.stringify({ event: 'listening', host, port, pid: process.pid }) + '\n')
  await server.closed
} catch (error) {
  process.stderr.write(messageOf(error) + '\n')
  process.exitCode = exitCodeOf(error)
}
