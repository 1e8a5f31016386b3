import { UsageError, type Logger, type Platform, type TlsSource } from '@conclave/core'
import type { AdminOptions, PageOptions } from './admin/admin-pages.ts'
import type { AuditListener } from './audit/audit-event.ts'
import type { SaslOptions } from './pipeline/authentication.ts'
import { AUTHENTICATION_SCHEMES } from './state/access.ts'
import { EXTENSIONS, type SnapshotForm } from './storage/compression/snapshot-form.ts'

/** Where there is TLS: on a port of its own, or on the plain one, or both. */
export interface SecureOptions {
  readonly tls: TlsSource
  /** A port for TLS alone; 0: any free one. Default none. */
  readonly port?: number
  /** Default: that of the plain port. */
  readonly host?: string
  /** Whether the plain port takes connections with TLS as well. Default `false`. */
  readonly onPlainPort?: boolean
  /** Whether there is no plain port beside `port`. Default `false`. */
  readonly only?: boolean
}

/** How the server is to run. Durations are in milliseconds. */
export interface ServerOptions {
  /** The data folder; made where there is none. */
  readonly dataDir: string
  /** A folder, on a disk of its own perhaps, for the transaction logs. Default: `dataDir`. */
  readonly dataLogDir?: string
  /** The four-letter words that are answered. Default: all. */
  readonly fourLetterWords?: readonly string[]
  /** Where to listen. Default `127.0.0.1`: nobody else's machine can reach it. */
  readonly host?: string
  /** Default 2181; 0 for any free one. */
  readonly port?: number
  /** TLS. Clients that show a certificate get an identity of the scheme `x509`. Default none. */
  readonly secure?: SecureOptions
  /** The unit of time: session timeouts lie between 2 and 20 of it. Default 2,000. */
  readonly tickTimeMs?: number
  /** Default two ticks. */
  readonly minSessionTimeoutMs?: number
  /** Default twenty ticks. */
  readonly maxSessionTimeoutMs?: number
  /**
   * Sessions expire at multiples of so many milliseconds: the longer the step, the more of them together, and the less it
   * costs to hear of one. Default a tick, as in Apache ZooKeeper.
   */
  readonly expiryStepMs?: number
  /** Transactions from one snapshot to the next. Default 100,000. */
  readonly snapCount?: number
  /** Snapshots that are kept; older ones, and the logs before them, are removed. Default 3. */
  readonly snapRetainCount?: number
  /**
   * How snapshots are written: `gz` and `snappy` are smaller, and take longer to write and read. Those that are there are
   * read in any case. Default `none`.
   */
  readonly snapshotCompression?: SnapshotForm
  /** The largest request (`jute.maxbuffer`), in bytes. Default 1,048,575. */
  readonly maxFrameBytes?: number
  /** Connections from one address; more are refused. 0: no limit, the default. */
  readonly maxClientCnxns?: number
  /** Connections altogether; more are refused. 0: no limit, the default. */
  readonly maxCnxns?: number
  /** How long a connection may be without a session: before its handshake, or when it should have gone. Default 10,000. */
  readonly sessionlessTimeoutMs?: number
  /** While more transactions than that wait for the disk, no more requests are read. Default: no limit but their bytes. */
  readonly maxOutstanding?: number
  /**
   * By how much a log file grows at a time. Default 16 MB: rarely, and so the disk's own book-keeping is rarely written. From 1 MB
   * on the next file is also filled with zeros beside the work, up to 16 MB, and begun when the present one is full.
   */
  readonly preAllocBytes?: number
  /** Whether the hard limits of quotas refuse writes; they are counted in any case. Default `false`, as in Apache ZooKeeper. */
  readonly enforceQuota?: boolean
  /** How often unused container and TTL znodes are looked for. Default 60,000. */
  readonly containerCheckIntervalMs?: number
  /** The digest (`super:<base64>`) of the password that opens everything. Default none. */
  readonly superDigest?: string
  /** The certificate (its subject, as RFC 2253 writes it) of whoever may do everything. Default none. */
  readonly x509SuperUser?: string
  /** Who can prove himself by SASL (DIGEST-MD5). Default nobody. */
  readonly sasl?: SaslOptions
  /**
   * Schemes (`digest`, `sasl`, `x509`, `ip`) one of which a session must have proven before it can do anything; others are
   * ended. Default none.
   */
  readonly requiredSchemes?: readonly string[]
  /** The commands of Apache's AdminServer as JSON, and `/metrics`, over HTTP. Default none. */
  readonly admin?: AdminOptions & {
    /** Whether the server does without its pages where their port is taken. Default `false`. */
    readonly isOptional?: boolean
  }
  /** `/metrics` alone over HTTP, for Prometheus. Default none. */
  readonly metrics?: PageOptions
  /** A warning is logged when the disk takes longer for a batch of transactions. Default 1,000. */
  readonly slowSyncMs?: number
  /** Is told who changed what, or tried to; what it throws is logged. Default nobody. */
  readonly audit?: AuditListener
  /** Ends by itself when no session was connected for so long. Default never. */
  readonly idleExitMs?: number
  readonly logger?: Logger
  /** What stands between the server and the world; for tests. */
  readonly platform?: Partial<Platform>
}

const DEFAULTS = Object.freeze({
  host: '127.0.0.1',
  port: 2181,
  tickTimeMs: 2_000,
  snapCount: 100_000,
  snapRetainCount: 3,
  snapshotCompression: 'none',
  maxFrameBytes: 0xfffff,
  maxClientCnxns: 0,
  maxCnxns: 0,
  sessionlessTimeoutMs: 10_000,
  maxOutstanding: Infinity,
  preAllocBytes: 16 << 20,
  enforceQuota: false,
  containerCheckIntervalMs: 60_000,
  slowSyncMs: 1_000,
})

/** What has no default, or one that depends on others. */
const OTHERS = [
  'dataDir',
  'dataLogDir',
  'minSessionTimeoutMs',
  'maxSessionTimeoutMs',
  'expiryStepMs',
  'fourLetterWords',
  'superDigest',
  'x509SuperUser',
  'sasl',
  'requiredSchemes',
  'secure',
  'admin',
  'metrics',
  'audit',
  'idleExitMs',
  'logger',
  'platform',
] as const satisfies readonly (keyof ServerOptions)[]

const NAMES: ReadonlySet<string> = new Set([...Object.keys(DEFAULTS), ...OTHERS])

/** The options, with the defaults of those that have one. */
export type ServerSettings = ServerOptions &
  Required<
    Pick<
      ServerOptions,
      keyof typeof DEFAULTS | 'minSessionTimeoutMs' | 'maxSessionTimeoutMs' | 'expiryStepMs'
    >
  >

/** The options with their defaults; throws `UsageError` for one that is unknown or cannot be. */
export function resolveOptions(options: ServerOptions): ServerSettings {
  for (const name of Object.keys(options)) {
    if (!NAMES.has(name)) throw new UsageError(`the server has no option ${name}`)
  }
  const settings = { ...DEFAULTS, ...withoutUndefined(options) }
  const tickTimeMs = settings.tickTimeMs
  // A configuration file need not name one.
  if (typeof settings.dataDir !== 'string' || settings.dataDir === '') {
    throw new UsageError('dataDir names the folder for the data, and is missing')
  }
  for (const name of [
    'tickTimeMs',
    'snapCount',
    'snapRetainCount',
    'maxFrameBytes',
    'preAllocBytes',
  ] as const) {
    if (!(settings[name] > 0)) throw new UsageError(`${name} must be more than 0, not ${settings[name]}`)
  }
  for (const port of [settings, settings.secure, settings.admin, settings.metrics].map(at => at?.port ?? 0)) {
    if (!Number.isInteger(port) || port < 0 || port > 65535) {
      throw new UsageError(`port must be from 0 to 65535, not ${port}`)
    }
  }
  const { secure } = settings
  if (
    secure !== undefined &&
    secure.port === undefined &&
    (secure.onPlainPort !== true || secure.only === true)
  ) {
    throw new UsageError('secure needs a port, or onPlainPort')
  }
  if (!Object.hasOwn(EXTENSIONS, settings.snapshotCompression)) {
    throw new UsageError(`snapshots cannot be compressed by ${settings.snapshotCompression}`)
  }
  for (const scheme of settings.requiredSchemes ?? []) {
    if (!AUTHENTICATION_SCHEMES.has(scheme)) throw new UsageError(`nobody can authenticate by ${scheme}`)
  }
  if (settings.dataDir === '') throw new UsageError('dataDir must name a folder')
  const resolved = {
    ...settings,
    minSessionTimeoutMs: settings.minSessionTimeoutMs ?? 2 * tickTimeMs,
    maxSessionTimeoutMs: settings.maxSessionTimeoutMs ?? 20 * tickTimeMs,
    expiryStepMs: settings.expiryStepMs ?? tickTimeMs,
  }
  if (!(resolved.expiryStepMs > 0)) {
    throw new UsageError(`expiryStepMs must be more than 0, not ${resolved.expiryStepMs}`)
  }
  if (resolved.minSessionTimeoutMs > resolved.maxSessionTimeoutMs) {
    throw new UsageError('minSessionTimeoutMs must not be more than maxSessionTimeoutMs')
  }
  return resolved
}

function withoutUndefined(options: ServerOptions): ServerOptions {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as unknown as ServerOptions
}
