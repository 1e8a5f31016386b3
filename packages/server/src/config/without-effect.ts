/** Settings of Apache's guide that change nothing here, and why. The first pattern that fits is told. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [
    /^(initLimit|syncLimit|connectToLearnerMasterLimit|leaderServes|cnxTimeout|electionAlg|electionPort.*|quorumListenOnAllIPs|peerType|group\..*|weight\..*|quorum\..*|quorumCnxn.*|reconfigEnabled|standaloneEnabled|dynamicConfigFile|observer\..*|observerMasterPort|learner\..*|leader\..*|follower\..*|fastleader\..*|forward|localSessions.*|syncEnabled|multiAddress\..*|tcpKeepAlive|oraclePath|maxConcurrent\w+Syncs|maxTimeToWaitForEpoch|ssl\.quorum\..*|sslQuorum.*|portUnification|ensembleAuthName|readonlymode\.enabled|ReadOnlyModeServer|messageTracker\..*|commitLogCount)$/,
    'it concerns an ensemble, and this server is one by itself',
  ],
  [
    /^authProvider($|\.)/,
    'it would load a Java class; digest, ip, x509 and SASL with DIGEST-MD5 are built in',
  ],
  [
    /^(kerberos\..*|sasl\.(?!serverconfig$).*|requireClientAuthScheme|jaasLoginRenew|DigestAuthenticationProvider\.(digestAlg|enabled)|IPAuthenticationProvider\..*|letAnySaslUserDoX)$/,
    'Kerberos, other hashes of passwords, and identities by HTTP are not built in',
  ],
  [
    /^(fipsmode|fips-mode|ssl\..*|outstandingHandshake\.limit)$/,
    'TLS is that of Node.js; keys and certificates are PEM files',
  ],
  [
    /^(admin\.(idleTimeout|portUnification|forceHttps|needClientAuth|ssl.*)|metricsProvider\..*)$/,
    'its pages are served over plain HTTP',
  ],
  [/^audit\./, 'the audit log is a file, named by --audit-log'],
  [
    /^(extendedTypesEnabled|digest\.enabled|closeSessionTxn\.enabled|snapshot\.trust\.empty|enableEagerACLCheck|serializeLastProcessedZxid\.enabled|datadir\.autocreate|clientTcpKeepAlive)$/,
    'what it says is always so, or never needed',
  ],
  [/^skipACL$/, 'access lists are always checked'],
  [/^emulate353TTLNodes$/, 'it cannot be told from the data what the znodes of such a server mean'],
  [
    /^(autopurge\.purgeInterval|snapSizeLimitInKb|txnLogSizeLimitInKb|forceSync)$/,
    'the log is always synced; snapshots follow snapCount, and old files are removed after each',
  ],
  [
    /^(znode\.container\.(maxPerMinute|maxNeverUsedIntervalMs)|watchManagerName|watcherClean.*|maxInProcessingDeadWatchers|bitHashCacheSize|maxResponseCacheSize|maxGetChildrenResponseCacheSize|jute\.maxbuffer\.extrasize|clientPortListenBacklog|flushDelay|maxWriteQueuePollTime|maxBatchSize|throttledOp.*|request(Throttle|Stale).*|request_throttle.*|largeRequest.*|advancedFlowControlEnabled|serverCnxnFactory|clientCnxnSocket|nio\..*|netty\..*|commitProcessor\..*|connection\w+)$/,
    'it tunes threads, caches and queues that this server does not have',
  ],
]

/** Why a setting changes nothing. */
export function whyWithoutEffect(name: string): string {
  return REASONS.find(([pattern]) => pattern.test(name))?.[1] ?? 'this server does not know it'
}
