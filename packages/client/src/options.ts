import {
  nodePlatform,
  silentLogger,
  tlsNetwork,
  UsageError,
  type Logger,
  type Platform,
  type TlsSource,
} from '@conclave/core'
import { DEFAULT_MAX_FRAME_BYTES } from '@conclave/protocol'
import type { SessionCredentials } from './connection-state.ts'
import type { SaslCredentials } from './sasl-digest-md5.ts'

/** An identity that a session proves: for `digest`, `auth` is `user:password`. */
export interface AuthInfo {
  readonly scheme: string
  readonly auth: Uint8Array | string
}

export interface ConnectOptions {
  /** The session timeout to ask for, in milliseconds; servers clamp it. Default 10,000. */
  readonly sessionTimeoutMs?: number
  /** For one server, its TCP connection and its first answer, in milliseconds. Default a third of the session timeout, at most 3,000. */
  readonly connectTimeoutMs?: number
  /** How long `connect` tries all servers before it rejects, in milliseconds. Default the session timeout. */
  readonly establishTimeoutMs?: number
  /** How long `close` looks for a server to tell it, in milliseconds. Default a third of the session timeout, at most 3,000. */
  readonly closeTimeoutMs?: number
  /** Put in front of every path, behind the chroot of the connect string. Default none. */
  readonly chroot?: string
  /** Identities that every connection proves. Default none. */
  readonly auth?: readonly AuthInfo[]
  /** Prove who the client is by SASL DIGEST-MD5, before anything else on each connection. Default not. */
  readonly sasl?: SaslCredentials
  /**
   * Speak TLS, and prove by `cert` and `key` who the client is where the server asks. A function is asked again for each
   * connection, so that renewed certificates are used from the next one on, within the session. Default plain TCP.
   */
  readonly tls?: TlsSource
  /**
   * Keep the session alive from a thread of its own while the event loop is busy, for at most so long, in milliseconds.
   * A longer stall ends every lease, and the pings: a process that hangs loses its session. Not with a `platform` that has
   * a clock or a network of its own. Default: the event loop must turn within the session timeout.
   */
  readonly maxStallMs?: number
  /** Attach to this session instead of making one; `connect` rejects with `SessionExpiredError` where it is gone. */
  readonly session?: SessionCredentials
  /** Whether a session that was lost is followed by a new one. Default `true`. */
  readonly renewSession?: boolean
  /**
   * Whether a write that was under way when the connection broke is sent again, within the session, where doing it twice
   * does the same as once: `setData`, `setAcl` and `delete` that expect no version. A `delete` that then finds nothing has
   * succeeded. All other writes end with the outcome `unknown`. Default `false`: these do so too, because what somebody
   * else wrote in between would be overwritten.
   */
  readonly retryWrites?: boolean
  /** Whether a server that is cut off from its ensemble, and only reads, will do. Default `false`. */
  readonly allowReadOnly?: boolean
  /** The largest request that is sent, in bytes: the servers' `jute.maxbuffer`. Default 1,048,575. */
  readonly maxFrameBytes?: number
  /** The largest answer that is taken, in bytes. Default 64 MiB. */
  readonly maxReplyBytes?: number
  /** Stand-ins for clock, network and randomness. Default Node.js's own. */
  readonly platform?: Partial<Platform>
  /** Default silent. */
  readonly logger?: Logger
  /** Ends the attempt to connect; without effect afterwards. */
  readonly signal?: AbortSignal
}

type Defaulted = Exclude<
  keyof ConnectOptions,
  'session' | 'signal' | 'platform' | 'tls' | 'sasl' | 'maxStallMs'
>

/** Every option with its value. */
export type ResolvedOptions = Required<Pick<ConnectOptions, Defaulted>> &
  Pick<ConnectOptions, 'session' | 'signal' | 'sasl' | 'tls' | 'maxStallMs'> & { readonly platform: Platform }

const DURATIONS = [
  'sessionTimeoutMs',
  'connectTimeoutMs',
  'establishTimeoutMs',
  'closeTimeoutMs',
  'maxStallMs',
] as const

/** A timeout is 32 bits wide on the wire, and a timer of Node.js takes no more either. */
const MAX_DURATION_MS = 0x7fff_ffff

const MAX_CONNECT_TIMEOUT_MS = 3_000
const DEFAULT_MAX_REPLY_BYTES = 64 * 1024 * 1024

/** Fills in the defaults; throws `UsageError` for an unknown option and for a duration that is none. */
export function resolveOptions(options: ConnectOptions): ResolvedOptions {
  const { sessionTimeoutMs = 10_000, session, signal, platform, tls, sasl, maxStallMs, ...given } = options
  const shortMs = Math.min(MAX_CONNECT_TIMEOUT_MS, Math.ceil(sessionTimeoutMs / 3))
  const defaults: Required<Pick<ConnectOptions, Defaulted>> = {
    sessionTimeoutMs,
    connectTimeoutMs: shortMs,
    establishTimeoutMs: sessionTimeoutMs,
    closeTimeoutMs: shortMs,
    chroot: '/',
    auth: [],
    renewSession: true,
    retryWrites: false,
    allowReadOnly: false,
    maxFrameBytes: DEFAULT_MAX_FRAME_BYTES,
    maxReplyBytes: DEFAULT_MAX_REPLY_BYTES,
    logger: silentLogger,
  }
  for (const name of Object.keys(given)) {
    if (!(name in defaults)) throw new UsageError(`unknown option ${name}`)
  }
  const resolved = { ...defaults, ...definedOf(given), ...definedOf({ maxStallMs }) }
  if (maxStallMs !== undefined && (platform?.network ?? platform?.clock) !== undefined) {
    throw new UsageError('maxStallMs needs the clock and the network of Node.js: it uses them in a thread')
  }
  for (const name of DURATIONS) {
    const value = resolved[name]
    if (value === undefined) continue
    if (!(value > 0 && value <= MAX_DURATION_MS)) {
      throw new UsageError(`${name} must be a number of milliseconds above 0, it is ${value}`)
    }
  }
  return {
    ...resolved,
    ...definedOf({ session, signal, sasl, tls }),
    platform: {
      ...nodePlatform,
      ...(tls === undefined ? {} : { network: tlsNetwork(tls) }),
      ...definedOf(platform ?? {}),
    },
  }
}

/** Without the entries that are `undefined`, which would otherwise hide a default. */
function definedOf<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>
}
