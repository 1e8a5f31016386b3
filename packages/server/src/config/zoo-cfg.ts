import { UsageError } from '@conclave/core'
import type { ServerOptions } from '../server-options.ts'

/** What a `zoo.cfg` says, as options of this server. */
export interface ZooCfg {
  readonly options: Partial<ServerOptions>
  /** A sentence for each setting that has no effect here, with the reason. */
  readonly warnings: readonly string[]
}

type Reader = (value: string, name: string) => Partial<ServerOptions>

function whole(value: string, name: string): number {
  if (!/^-?\d+$/.test(value)) throw new UsageError(`${name} must be a whole number, not ${value}`)
  return Number(value)
}

const millis =
  (option: keyof ServerOptions): Reader =>
  (value, name) => {
    const number = whole(value, name)
    // Apache's -1: the default.
    return number === -1 ? {} : { [option]: number }
  }

/** `*` is all of them, and a word cannot be anything else. */
function words(value: string): Partial<ServerOptions> {
  const all = value.split(',').map(word => word.trim())
  return all.includes('*') ? {} : { fourLetterWords: all }
}

/** The settings that are honoured, by their names in the file; a `zookeeper.` in front is no difference. */
const HONOURED: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['dataDir', value => ({ dataDir: value })],
  ['dataLogDir', value => ({ dataLogDir: value })],
  ['clientPort', millis('port')],
  ['clientPortAddress', value => ({ host: value })],
  ['tickTime', millis('tickTimeMs')],
  ['minSessionTimeout', millis('minSessionTimeoutMs')],
  ['maxSessionTimeout', millis('maxSessionTimeoutMs')],
  ['maxClientCnxns', millis('maxClientCnxns')],
  ['snapCount', millis('snapCount')],
  ['autopurge.snapRetainCount', (value, name) => ({ snapRetainCount: Math.max(3, whole(value, name)) })],
  ['jute.maxbuffer', millis('maxFrameBytes')],
  ['enforceQuota', value => ({ enforceQuota: value === 'true' })],
  ['znode.container.checkIntervalMs', millis('containerCheckIntervalMs')],
  ['DigestAuthenticationProvider.superDigest', value => ({ superDigest: value })],
  ['4lw.commands.whitelist', words],
])

/** What has no effect, and why. The first pattern that fits is told. */
const WITHOUT_EFFECT: readonly (readonly [RegExp, string])[] = [
  [
    /^(initLimit|syncLimit|connectToLearnerMasterLimit|leaderServes|cnxTimeout|electionAlg|electionPort.*|quorumListenOnAllIPs|peerType|group\..*|weight\..*|quorum\..*|reconfigEnabled|standaloneEnabled|dynamicConfigFile|skipACL|observer\..*|learner\..*|leader\..*|localSessions.*|syncEnabled|multiAddress\..*|tcpKeepAlive|oraclePath)$/,
    'it concerns an ensemble, and this server is one by itself',
  ],
  [
    /^(secureClientPort|secureClientPortAddress|ssl\..*|client\.portUnification|sslQuorum.*|portUnification)/,
    'a port with TLS is the option secure of EmbeddedServer.start',
  ],
  [
    /^(authProvider\..*|sasl\..*|kerberos\..*|requireClientAuthScheme|sessionRequireClientSASLAuth|enforce\.auth\..*|X509.*|allowSaslFailedClients|jaasLoginRenew)/,
    'of the ways to prove an identity it has digest and ip',
  ],
  [
    /^(admin\..*|metricsProvider\..*|audit\.enable)$/,
    'it has no HTTP page; the four-letter word mntr has the figures',
  ],
  [
    /^(extendedTypesEnabled|digest\.enabled|closeSessionTxn\.enabled|snapshot\.trust\.empty)$/,
    'it is always on',
  ],
  [
    /^(preAllocSize|autopurge\.purgeInterval|snapSizeLimitInKb|txnLogSizeLimitInKb|snapshot\.compression\.method|commitLogCount|fsync\.warningthresholdms|forceSync)$/,
    'the log is always synced, and sizes and removal follow snapCount and autopurge.snapRetainCount',
  ],
  [
    /^(globalOutstandingLimit|maxCnxns|clientPortListenBacklog|maxResponseCacheSize|maxGetChildrenResponseCacheSize|flushDelay|maxWriteQueuePollTime|maxBatchSize|throttledOp.*|requestThrottle.*|serverCnxnFactory|nio\..*|netty\..*|commitProcessor\..*|connection\w+)$/,
    'it tunes threads and queues that this server does not have',
  ],
]

/**
 * Reads Apache ZooKeeper's configuration file. Throws `UsageError` for what cannot be meant: an ensemble, a number that is
 * none, no `dataDir`.
 */
export function readZooCfg(text: string): ZooCfg {
  let options: Partial<ServerOptions> = {}
  const warnings: string[] = []
  for (const [name, value] of properties(text)) {
    if (/^server\.\d+$/.test(name)) {
      throw new UsageError(`${name}: this server is one by itself; an ensemble needs Apache ZooKeeper`)
    }
    const read = HONOURED.get(name)
    if (read !== undefined) options = { ...options, ...read(value, name) }
    else {
      const reason = WITHOUT_EFFECT.find(([pattern]) => pattern.test(name))?.[1]
      warnings.push(`${name} has no effect: ${reason ?? 'this server does not know it'}`)
    }
  }
  if (options.dataDir === undefined) throw new UsageError('the configuration names no dataDir')
  return { options, warnings }
}

/** Lines of `key=value` as in a Java properties file: comments begin with # or !, and a backslash continues a line. */
function properties(text: string): [name: string, value: string][] {
  const found: [string, string][] = []
  for (const line of text.replace(/\\\r?\n\s*/g, '').split(/\r?\n/)) {
    const match = /^\s*([^#!=:\s][^=:\s]*)\s*[=:\s]\s*(.*?)\s*$/.exec(line)
    if (match) found.push([match[1]!.replace(/^zookeeper\./, ''), match[2]!])
  }
  return found
}
