#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { codeOf, consoleLogger, messageOf, nodeClock, UsageError } from '@conclave/core'
import type { AuditListener } from './audit/audit-event.ts'
import type { ZooCfg } from './config/zoo-cfg.ts'
import { EmbeddedServer } from './embedded-server.ts'
import type { ServerOptions } from './server-options.ts'

/** Where `audit.enable` of a zoo.cfg writes, as Apache's server does. */
const AUDIT_LOG = 'zookeeper_audit.log'

const USAGE =
  'usage: bin.js --data-dir DIR | --config zoo.cfg [--host H] [--port P] [--tick-time-ms N] [--idle-exit-ms N] [--snap-count N] [--audit-log FILE] [--verbose]'

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
      'audit-log': { type: 'string' },
      verbose: { type: 'boolean' },
    },
  })
  const logger = consoleLogger(values.verbose === true ? 'info' : 'warn')
  const configured = values.config === undefined ? undefined : await readConfig(values.config)
  for (const warning of configured?.warnings ?? []) logger.log('warn', warning)
  const dataDir = values['data-dir'] ?? configured?.options.dataDir
  if (dataDir === undefined) throw new UsageError(USAGE)
  const port = number(values, 'port')
  const tickTimeMs = number(values, 'tick-time-ms')
  const idleExitMs = number(values, 'idle-exit-ms')
  const snapCount = number(values, 'snap-count')
  const auditPath = values['audit-log'] ?? (configured?.wantsAudit === true ? AUDIT_LOG : undefined)
  return {
    ...configured?.options,
    dataDir,
    ...(auditPath !== undefined && { audit: await auditFile(auditPath) }),
    ...(values.host !== undefined && { host: values.host }),
    ...(port !== undefined && { port }),
    ...(tickTimeMs !== undefined && { tickTimeMs }),
    ...(idleExitMs !== undefined && { idleExitMs }),
    ...(snapCount !== undefined && { snapCount }),
    logger,
  }
}

/** What reads it is loaded only now: a server without one is ready sooner. */
async function readConfig(path: string): Promise<ZooCfg> {
  const [{ readZooCfg }, { readConfigFile }] = await Promise.all([
    import('./config/zoo-cfg.ts'),
    import('./config/config-file.ts'),
  ])
  try {
    return readZooCfg(readConfigFile(path))
  } catch (error) {
    if (codeOf(error) === 'USAGE') throw error
    throw new UsageError(`cannot read the configuration ${path} (${codeOf(error) ?? 'unknown error'})`, error)
  }
}

async function auditFile(path: string): Promise<AuditListener> {
  return (await import('./audit/audit-file.ts')).auditFile(path, nodeClock)
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
