import { codeOf, UsageError, type TlsOptions } from '@conclave/core'
import { isDeepStrictEqual } from 'node:util'
import type { ServerOptions } from '../server-options.ts'
import { readConfigFile } from './config-file.ts'
import { readJaasUsers } from './jaas.ts'
import { readProperties } from './properties.ts'
import { whyWithoutEffect } from './without-effect.ts'

/** What a `zoo.cfg` says, as options of this server. */
export interface ZooCfg {
  readonly options: Partial<ServerOptions>
  /** Whether `audit.enable` asks for an audit log: `ServerOptions.audit` says where it goes. */
  readonly wantsAudit: boolean
  /** A sentence for each setting that has no effect here, with the reason. */
  readonly warnings: readonly string[]
}

/** The port of Apache's AdminServer. */
const ADMIN_PORT = 8080

/** The settings, each remembered as known once it was asked for. */
class Settings {
  readonly #values: ReadonlyMap<string, string>
  readonly #known = new Set<string>()
  readonly #readFile: (path: string) => string

  constructor(values: ReadonlyMap<string, string>, readFile: (path: string) => string) {
    this.#values = values
    this.#readFile = readFile
  }

  text(name: string): string | undefined {
    this.#known.add(name)
    return this.#values.get(name)
  }

  /** The values of all settings with such names. */
  all(names: RegExp): readonly string[] {
    return [...this.#values].flatMap(([name, value]) => {
      if (!names.test(name)) return []
      this.#known.add(name)
      return [value]
    })
  }

  /** Of Apache's -1: the default. */
  whole(name: string): number | undefined {
    const value = this.text(name)
    if (value === undefined || value === '-1') return undefined
    if (!/^\d+$/.test(value)) throw new UsageError(`${name} must be a whole number, not ${value}`)
    return Number(value)
  }

  flag(name: string): boolean | undefined {
    const value = this.text(name)
    return value === undefined ? undefined : value.toLowerCase() === 'true'
  }

  list(name: string): readonly string[] | undefined {
    return this.text(name)
      ?.split(',')
      .map(word => word.trim())
  }

  /** The text of the file that a setting names. */
  file(name: string): string | undefined {
    const path = this.text(name)
    if (path === undefined) return undefined
    try {
      return this.#readFile(path)
    } catch (error) {
      throw new UsageError(
        `cannot read ${path}, which ${name} names (${codeOf(error) ?? 'unknown error'})`,
        error,
      )
    }
  }

  /** Those nobody asked for. */
  unknown(): string[] {
    return [...this.#values.keys()].filter(name => !this.#known.has(name))
  }
}

/**
 * Reads Apache ZooKeeper's configuration file, and the files with keys, certificates and users that it names. Throws
 * `UsageError` for what cannot be meant: an ensemble, a number that is none, a file that cannot be used.
 */
export function readZooCfg(text: string, readFile: (path: string) => string = readConfigFile): ZooCfg {
  const values = readProperties(text)
  for (const name of values.keys()) {
    if (/^server\.\d+$/.test(name)) {
      throw new UsageError(`${name}: this server is one by itself; an ensemble needs Apache ZooKeeper`)
    }
  }
  const settings = new Settings(values, readFile)
  const options = withoutUndefined({
    ...basics(settings),
    ...limits(settings),
    ...authentication(settings),
    secure: secure(settings),
    admin: admin(settings),
    metrics: metrics(settings),
  })
  const wantsAudit = settings.flag('audit.enable') === true
  const warnings = settings.unknown().map(name => `${name} has no effect: ${whyWithoutEffect(name)}`)
  return { options, wantsAudit, warnings }
}

type Options = { [name in keyof ServerOptions]?: ServerOptions[name] | undefined }

function basics(settings: Settings): Options {
  const retained = settings.whole('autopurge.snapRetainCount')
  const preAllocKb = settings.whole('preAllocSize')
  const words = settings.list('4lw.commands.whitelist')
  return {
    dataDir: settings.text('dataDir'),
    dataLogDir: settings.text('dataLogDir'),
    port: settings.whole('clientPort'),
    host: settings.text('clientPortAddress'),
    tickTimeMs: settings.whole('tickTime'),
    snapCount: settings.whole('snapCount'),
    // Apache's least.
    snapRetainCount: retained === undefined ? undefined : Math.max(3, retained),
    snapshotCompression: snapshotCompression(settings),
    preAllocBytes: preAllocKb === undefined ? undefined : preAllocKb * 1024,
    slowSyncMs: settings.whole('fsync.warningthresholdms'),
    containerCheckIntervalMs: settings.whole('znode.container.checkIntervalMs'),
    fourLetterWords: words?.includes('*') === true ? undefined : words,
  }
}

/** By the names that Apache's server knows; there, another one means none. */
function snapshotCompression(settings: Settings): ServerOptions['snapshotCompression'] {
  const method = settings.text('snapshot.compression.method')?.toLowerCase()
  switch (method) {
    case undefined:
      return undefined
    case 'gz':
    case 'snappy':
      return method
    case '':
    case 'checked':
      return 'none'
    default:
      throw new UsageError(`snapshot.compression.method must be gz, snappy or CHECKED, not ${method}`)
  }
}

function limits(settings: Settings): Options {
  return {
    minSessionTimeoutMs: settings.whole('minSessionTimeout'),
    maxSessionTimeoutMs: settings.whole('maxSessionTimeout'),
    maxClientCnxns: settings.whole('maxClientCnxns'),
    maxCnxns: settings.whole('maxCnxns'),
    sessionlessTimeoutMs: settings.whole('nio.sessionlessCnxnTimeout'),
    maxOutstanding: settings.whole('globalOutstandingLimit'),
    maxFrameBytes: settings.whole('jute.maxbuffer'),
    enforceQuota: settings.flag('enforceQuota'),
  }
}

function authentication(settings: Settings): Options {
  const isEnforced = settings.flag('enforce.auth.enabled') === true
  const schemes = settings.list('enforce.auth.schemes')
  const needsSasl = settings.flag('sessionRequireClientSASLAuth') === true
  if (isEnforced && schemes === undefined)
    throw new UsageError('enforce.auth.enabled needs enforce.auth.schemes')
  return {
    superDigest: settings.text('DigestAuthenticationProvider.superDigest'),
    x509SuperUser: settings.text('X509AuthenticationProvider.superUser'),
    sasl: sasl(settings),
    requiredSchemes: needsSasl ? ['sasl'] : isEnforced ? schemes : undefined,
  }
}

/** Users come from the file that is a system property of Java with Apache's server; here it is a setting as well. */
function sasl(settings: Settings): ServerOptions['sasl'] {
  const jaas = settings.file('java.security.auth.login.config')
  const section = settings.text('sasl.serverconfig') ?? 'Server'
  const superPassword = settings.text('SASLAuthenticationProvider.superPassword')
  const superUsers = settings.all(/^superUser(?:\..+)?$/)
  const allowFailedClients = settings.flag('allowSaslFailedClients') === true
  if (jaas === undefined && superPassword === undefined) return undefined
  return {
    users: {
      ...(jaas === undefined ? {} : readJaasUsers(jaas, section)),
      ...(superPassword === undefined ? {} : { super: superPassword }),
    },
    ...(superUsers.length === 0 ? {} : { superUsers }),
    allowFailedClients,
  }
}

const CLIENT_AUTH = { none: 'none', want: 'request', need: 'require' } as const

function secure(settings: Settings): ServerOptions['secure'] {
  const port = settings.whole('secureClientPort')
  const host = settings.text('secureClientPortAddress')
  const onPlainPort = settings.flag('client.portUnification') === true
  const clientAuth = settings.text('ssl.clientAuth')?.toLowerCase() ?? 'need'
  const wantsReload = settings.flag('client.certReload') === true
  const found = tlsStores(settings)
  if (port === undefined && !onPlainPort) return undefined
  if (found === undefined) throw new UsageError('a port with TLS needs ssl.keyStore.location')
  if (!Object.hasOwn(CLIENT_AUTH, clientAuth)) {
    throw new UsageError(`ssl.clientAuth must be none, want or need, not ${clientAuth}`)
  }
  const withAuth = (options: TlsOptions): TlsOptions => ({
    ...options,
    clientAuth: CLIENT_AUTH[clientAuth as keyof typeof CLIENT_AUTH],
  })
  const tls = wantsReload ? renewed(() => withAuth(tlsStores(settings)!)) : withAuth(found)
  return {
    tls,
    ...(port === undefined ? {} : { port }),
    ...(host === undefined ? {} : { host }),
    onPlainPort,
    // Whoever names only the secure port wants no other.
    only: settings.whole('clientPort') === undefined,
  }
}

/** The server's own certificate and key, and whom it trusts; `undefined` where it has none. */
function tlsStores(settings: Settings): TlsOptions | undefined {
  const keyStore = pemFile(settings, 'ssl.keyStore')
  const trustStore = pemFile(settings, 'ssl.trustStore')
  if (keyStore === undefined) return undefined
  return {
    cert: keyStore.pem,
    key: keyStore.pem,
    ...(keyStore.password === undefined ? {} : { passphrase: keyStore.password }),
    ...(trustStore === undefined ? {} : { ca: trustStore.pem }),
  }
}

/** Reads again for each connection; while that gives the same, so does this. */
function renewed(read: () => TlsOptions): () => TlsOptions {
  let last = read()
  return () => {
    const next = read()
    if (!isDeepStrictEqual(next, last)) last = next
    return last
  }
}

/** What a store holds, if it is a file of the kind that Node.js reads. */
function pemFile(
  settings: Settings,
  store: string,
): { pem: string; password: string | undefined } | undefined {
  const path = settings.text(`${store}.location`)
  const type = settings.text(`${store}.type`)?.toUpperCase()
  const plainPassword = settings.text(`${store}.password`)
  const password = settings.file(`${store}.passwordPath`)?.trim() ?? plainPassword
  if (path === undefined) return undefined
  if (type === undefined || type === '' ? !path.endsWith('.pem') : type !== 'PEM') {
    throw new UsageError(
      `${store}.location must be a PEM file, as ${path} is not; 'openssl pkcs12 -in store.p12 -nodes' makes one`,
    )
  }
  const pem = settings.file(`${store}.location`)
  return pem === undefined ? undefined : { pem, password }
}

/** As with Apache's server, its pages are served unless the file says that they are not. */
function admin(settings: Settings): ServerOptions['admin'] {
  const isEnabled = settings.flag('admin.enableServer') !== false
  const port = settings.whole('admin.serverPort')
  const host = settings.text('admin.serverAddress')
  const commandPath = settings.text('admin.commandURL')
  const snapshotEnabled = settings.flag('admin.snapshot.enabled')
  const restoreEnabled = settings.flag('admin.restore.enabled')
  const rateLimitMs = settings.whole('admin.rateLimiterIntervalInMS')
  if (!isEnabled) return undefined
  return {
    port: port ?? ADMIN_PORT,
    ...(host === undefined ? {} : { host }),
    ...(commandPath === undefined ? {} : { commandPath }),
    ...(snapshotEnabled === undefined ? {} : { snapshotEnabled }),
    ...(restoreEnabled === undefined ? {} : { restoreEnabled }),
    ...(rateLimitMs === undefined ? {} : { rateLimitMs }),
    // A port that nobody named must not keep the server from its work.
    isOptional: port === undefined,
  }
}

function metrics(settings: Settings): ServerOptions['metrics'] {
  const className = settings.text('metricsProvider.className')
  if (className?.endsWith('PrometheusMetricsProvider') !== true) return undefined
  const port = settings.whole('metricsProvider.httpPort')
  const host = settings.text('metricsProvider.httpHost')
  if (port === undefined) throw new UsageError('metricsProvider.className needs metricsProvider.httpPort')
  return { port, ...(host === undefined ? {} : { host }) }
}

function withoutUndefined(options: Options): Partial<ServerOptions> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}
