import { nodeClock, UsageError } from '@conclave/core'
import type { AuditListener } from '../audit/audit-event.ts'
import { resolveOptions, type ServerOptions } from '../server-options.ts'
import type { ZooCfg } from './zoo-cfg.ts'

/** Where `audit.enable` of a zoo.cfg writes, as Apache's server does. */
const AUDIT_LOG = 'zookeeper_audit.log'

/** What a command line says of a server; what it does not say is missing, or `undefined`. */
export type CommandLine = { readonly [Name in keyof ServerOptions]?: ServerOptions[Name] | undefined } & {
  /** The path of a `zoo.cfg`. */
  readonly config?: string | undefined
  /** The file of the audit log. Default: as the `zoo.cfg` says. */
  readonly auditLog?: string | undefined
}

/** How a server is to run, and what of its configuration has no effect, in a sentence each. */
export interface ConfiguredServer {
  readonly options: ServerOptions
  readonly warnings: readonly string[]
}

/**
 * The options of a server by its command line and, where that says nothing, by its `zoo.cfg`; one of them must name the
 * data folder. Throws `UsageError` for what can never work. Opens the audit log where there is to be one.
 */
export async function readServerOptions({
  config,
  auditLog,
  ...said
}: CommandLine): Promise<ConfiguredServer> {
  const configured = config === undefined ? undefined : await readConfig(config)
  const auditPath = auditLog ?? (configured?.wantsAudit === true ? AUDIT_LOG : undefined)
  const secure = configured?.options.secure
  const options = {
    ...configured?.options,
    // Whoever names a port means a plain one, also where the file has only one with TLS.
    ...(secure === undefined || said.port === undefined ? {} : { secure: { ...secure, only: false } }),
    ...Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined)),
  } as ServerOptions
  if (config !== undefined && options.dataDir === undefined) {
    throw new UsageError('the configuration names no dataDir, nor does the command line')
  }
  resolveOptions(options)
  const audit = auditPath === undefined ? {} : { audit: await openAuditFile(auditPath) }
  return { options: { ...options, ...audit }, warnings: configured?.warnings ?? [] }
}

/** What reads it is loaded only now: a server without one is ready sooner. */
async function readConfig(path: string): Promise<ZooCfg> {
  return (await import('./zoo-cfg-file.ts')).readZooCfgFile(path)
}

async function openAuditFile(path: string): Promise<AuditListener> {
  return (await import('../audit/audit-file.ts')).auditFile(path, nodeClock)
}
