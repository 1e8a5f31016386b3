import { RawSession, temporaryFolder } from '@conclave/testing'
import { EmbeddedServer, readZooCfg } from '@conclave/server'
import { readdir } from 'node:fs/promises'
import { expect, test } from 'vitest'

test('zoo.cfg - what this server has is taken over', () => {
  const { options, warnings } = readZooCfg(`
# The number of milliseconds of each tick
tickTime=2000
dataDir = /var/lib/zookeeper
dataLogDir: /var/log/zookeeper
clientPort=2182
clientPortAddress=127.0.0.1
minSessionTimeout=-1
maxSessionTimeout=60000
maxClientCnxns=10
zookeeper.snapCount=5000
autopurge.snapRetainCount=5
snapshot.compression.method=snappy
jute.maxbuffer=4194304
enforceQuota=true
zookeeper.DigestAuthenticationProvider.superDigest=super:xQJmxLMiHGwaqBvst5y6rkB6HQs=
4lw.commands.whitelist=stat, ruok
globalOutstandingLimit=1000
maxCnxns=500
zookeeper.nio.sessionlessCnxnTimeout=4000
preAllocSize=65536
fsync.warningthresholdms=200
znode.container.checkIntervalMs=1000
admin.enableServer=false
metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider
metricsProvider.httpPort=7000
enforce.auth.enabled=true
enforce.auth.schemes=digest, x509
X509AuthenticationProvider.superUser=CN=admin,O=Conclave
`)
  expect(warnings).toEqual([])
  expect(options).toEqual({
    tickTimeMs: 2_000,
    dataDir: '/var/lib/zookeeper',
    dataLogDir: '/var/log/zookeeper',
    port: 2182,
    host: '127.0.0.1',
    maxSessionTimeoutMs: 60_000,
    maxClientCnxns: 10,
    snapCount: 5_000,
    snapRetainCount: 5,
    snapshotCompression: 'snappy',
    maxFrameBytes: 4_194_304,
    enforceQuota: true,
    superDigest: 'super:xQJmxLMiHGwaqBvst5y6rkB6HQs=',
    fourLetterWords: ['stat', 'ruok'],
    maxOutstanding: 1_000,
    maxCnxns: 500,
    sessionlessTimeoutMs: 4_000,
    preAllocBytes: 64 << 20,
    slowSyncMs: 200,
    containerCheckIntervalMs: 1_000,
    metrics: { port: 7_000 },
    requiredSchemes: ['digest', 'x509'],
    x509SuperUser: 'CN=admin,O=Conclave',
  })
})

test('zoo.cfg - what has no effect is named with the reason', () => {
  const { warnings } = readZooCfg('dataDir=/d\ninitLimit=5\nssl.ciphersuites=X\nskipACL=yes\nfooBar=1')
  expect(warnings).toEqual([
    'initLimit has no effect: it concerns an ensemble, and this server is one by itself',
    'ssl.ciphersuites has no effect: TLS is that of Node.js; keys and certificates are PEM files',
    'skipACL has no effect: access lists are always checked',
    'fooBar has no effect: this server does not know it',
  ])
})

/** Every setting of the administrator's guide of Apache ZooKeeper 3.9, but those of `server.N`. */
const GUIDE = `
  4lw.commands.whitelist DigestAuthenticationProvider.digestAlg DigestAuthenticationProvider.enabled
  DigestAuthenticationProvider.superDigest IPAuthenticationProvider.usexforwardedfor X509AuthenticationProvider.superUser
  admin.commandURL admin.enableServer admin.forceHttps admin.idleTimeout admin.needClientAuth admin.portUnification
  admin.rateLimiterIntervalInMS admin.restore.enabled admin.serverAddress admin.serverPort admin.snapshot.enabled
  advancedFlowControlEnabled audit.enable audit.impl.class authProvider.1 autopurge.purgeInterval
  autopurge.snapRetainCount bitHashCacheSize client.certReload client.portUnification clientPort clientPortAddress
  clientPortListenBacklog clientTcpKeepAlive cnxTimeout commitLogCount commitProcessor.maxCommitBatchSize
  commitProcessor.maxReadBatchSize commitProcessor.numWorkerThreads connectToLearnerMasterLimit connectionDecreaseRatio
  connectionDropDecrease connectionDropIncrease connectionFreezeTime connectionMaxTokens connectionTokenFillCount
  connectionTokenFillTime dataDir dataLogDir digest.enabled electionAlg electionPortBindRetry emulate353TTLNodes
  enableEagerACLCheck enforce.auth.enabled enforce.auth.schemes enforceQuota ensembleAuthName extendedTypesEnabled
  fastleader.maxNotificationInterval fastleader.minNotificationInterval fipsmode flushDelay
  follower.skipLearnerRequestToNextProcessor forceSync forward fsync.warningthresholdms globalOutstandingLimit group.1
  initLimit jute.maxbuffer jute.maxbuffer.extrasize kerberos.canonicalizeHostNames kerberos.removeHostFromPrincipal
  kerberos.removeRealmFromPrincipal largeRequestMaxBytes largeRequestThreshold leader.closeSocketAsync leaderServes
  learner.asyncSending learner.closeSocketAsync localSessionsEnabled maxBatchSize maxClientCnxns maxCnxns
  maxConcurrentDiffSyncs maxConcurrentSnapSyncs maxGetChildrenResponseCacheSize maxInProcessingDeadWatchers
  maxResponseCacheSize maxSessionTimeout maxTimeToWaitForEpoch maxWriteQueuePollTime messageTracker.BufferSize
  messageTracker.Enabled metricsProvider.className metricsProvider.exportJvmInfo metricsProvider.httpHost
  metricsProvider.httpPort metricsProvider.httpsPort metricsProvider.maxQueueSize metricsProvider.numWorkerThreads
  metricsProvider.ssl.keyStore.location metricsProvider.workerShutdownTimeoutMs minSessionTimeout multiAddress.enabled
  multiAddress.reachabilityCheckEnabled multiAddress.reachabilityCheckTimeoutMs
  netty.server.earlyDropSecureConnectionHandshakes nio.numSelectorThreads nio.numWorkerThreads observer.election.DelayMs
  observer.reconnectDelayMs observerMasterPort outstandingHandshake.limit preAllocSize quorumCnxnTimeoutMs
  quorumListenOnAllIPs reconfigEnabled request_throttle_max_requests requestStaleConnectionCheck requestStaleLatencyCheck
  requestThrottleDropStale requestThrottleLimit requestThrottleStallTime secureClientPort secureClientPortAddress
  serializeLastProcessedZxid.enabled serverCnxnFactory sessionRequireClientSASLAuth skipACL snapCount snapSizeLimitInKb
  snapshot.compression.method snapshot.trust.empty ssl.allowReverseDnsLookup ssl.authProvider ssl.ciphersuites
  ssl.clientAuth ssl.clientHostnameVerification ssl.context.supplier.class ssl.crl ssl.enabledProtocols
  ssl.handshakeDetectionTimeoutMillis ssl.hostnameVerification ssl.keyStore.location ssl.keyStore.password
  ssl.keyStore.passwordPath ssl.keyStore.type ssl.ocsp ssl.protocol ssl.quorum.ciphersuites ssl.sslProvider
  ssl.trustStore.location ssl.trustStore.password ssl.trustStore.passwordPath ssl.trustStore.type sslQuorum
  sslQuorumReloadCertFiles standaloneEnabled superUser syncEnabled syncLimit tcpKeepAlive throttledOpWaitTime tickTime
  txnLogSizeLimitInKb watchManagerName watcherCleanIntervalInSeconds watcherCleanThreadsNum watcherCleanThreshold
  weight.1 znode.container.checkIntervalMs znode.container.maxNeverUsedIntervalMs znode.container.maxPerMinute
`
  .trim()
  .split(/\s+/)

/** Of those that are a word. */
const WORDS: ReadonlyMap<string, string> = new Map([
  ['ssl.clientAuth', 'none'],
  ['snapshot.compression.method', 'gz'],
])

test('zoo.cfg - every setting of the guide is honoured, or told with its reason', () => {
  const text = GUIDE.map(name => `${name}=${WORDS.get(name) ?? (name.endsWith('.type') ? 'PEM' : '1')}`)
  const { warnings } = readZooCfg(text.join('\n'), () => 'a file')
  expect(warnings.filter(warning => warning.includes('does not know it'))).toEqual([])
})

test.each([
  ['gz', 'gz'],
  ['GZ', 'gz'],
  ['Snappy', 'snappy'],
  ['CHECKED', 'none'],
  ['', 'none'],
])('zoo.cfg - snapshots compressed by %j', (method, form) => {
  const { options } = readZooCfg(`dataDir=/d\nzookeeper.snapshot.compression.method=${method}`)
  expect(options.snapshotCompression).toBe(form)
})

test('zoo.cfg - TLS on a port of its own, from PEM files', () => {
  const files = new Map([
    ['/tls/server.pem', 'SERVER'],
    ['/tls/ca.pem', 'CA'],
    ['/tls/password', 'secret\n'],
  ])
  const { options, warnings } = readZooCfg(
    `dataDir=/d
secureClientPort=2281
ssl.keyStore.location=/tls/server.pem
ssl.keyStore.passwordPath=/tls/password
ssl.trustStore.location=/tls/ca.pem
ssl.clientAuth=want
client.portUnification=true
clientPort=2181`,
    path => files.get(path)!,
  )
  expect(warnings).toEqual([])
  expect(options.secure).toEqual({
    tls: { cert: 'SERVER', key: 'SERVER', passphrase: 'secret', ca: 'CA', clientAuth: 'request' },
    port: 2_281,
    onPlainPort: true,
    only: false,
  })
})

test('zoo.cfg - with client.certReload the stores are read again, and are new only where they have changed', () => {
  const files = new Map([['/a.pem', 'FIRST']])
  const read = (path: string): string => {
    const text = files.get(path)
    if (text === undefined) throw Object.assign(new Error(path), { code: 'ENOENT' })
    return text
  }
  const { options, warnings } = readZooCfg(
    'dataDir=/d\nsecureClientPort=1\nssl.keyStore.location=/a.pem\nclient.certReload=true',
    read,
  )
  expect(warnings).toEqual([])
  const source = options.secure?.tls
  if (typeof source !== 'function') throw new Error('it is not asked again')
  const first = source()
  expect(first).toEqual({ cert: 'FIRST', key: 'FIRST', clientAuth: 'require' })
  expect(source()).toBe(first)
  files.set('/a.pem', 'SECOND')
  expect(source()).toMatchObject({ cert: 'SECOND', clientAuth: 'require' })
  files.delete('/a.pem')
  expect(source).toThrow('cannot read /a.pem, which ssl.keyStore.location names (ENOENT)')
})

test('zoo.cfg - with a secure port alone there is no plain one', () => {
  const { options } = readZooCfg('dataDir=/d\nsecureClientPort=1\nssl.keyStore.location=/a.pem', () => 'PEM')
  expect(options.secure).toMatchObject({ port: 1, only: true, tls: { clientAuth: 'require' } })
})

test('zoo.cfg - users from a JAAS file', () => {
  const jaas = `
/* Client { user_x="no"; }; */
Client { org.apache.zookeeper.server.auth.DigestLoginModule required username="bob" password="no"; };
Server {
  org.apache.zookeeper.server.auth.DigestLoginModule required
  user_super="ad//min" // the administrator
  user_bob="se\\"cr}et";
};`
  const { options, warnings } = readZooCfg(
    `dataDir=/d
java.security.auth.login.config=/etc/jaas.conf
allowSaslFailedClients=true
superUser=bob
superUser.1=ann
sessionRequireClientSASLAuth=true`,
    () => jaas,
  )
  expect(warnings).toEqual([])
  expect(options.sasl).toEqual({
    users: { super: 'ad//min', bob: 'se"cr}et' },
    superUsers: ['bob', 'ann'],
    allowFailedClients: true,
  })
  expect(options.requiredSchemes).toEqual(['sasl'])
})

test('zoo.cfg - the pages are served as by Apache ZooKeeper, unless the file says otherwise', () => {
  expect(readZooCfg('dataDir=/d').options.admin).toEqual({ port: 8_080, isOptional: true })
  const named = `dataDir=/d
admin.serverPort=9000
admin.serverAddress=10.0.0.1
admin.commandURL=/zk
admin.snapshot.enabled=true
admin.restore.enabled=false
admin.rateLimiterIntervalInMS=1000`
  expect(readZooCfg(named)).toMatchObject({ warnings: [] })
  expect(readZooCfg(named).options.admin).toEqual({
    port: 9_000,
    host: '10.0.0.1',
    commandPath: '/zk',
    snapshotEnabled: true,
    restoreEnabled: false,
    rateLimitMs: 1_000,
    isOptional: false,
  })
  expect(readZooCfg('dataDir=/d\naudit.enable=true').wantsAudit).toBe(true)
})

test.each([
  ['dataDir=/d\nserver.1=a:2888:3888', /one by itself/],
  ['dataDir=/d\nclientPort=many', /whole number/],
  ['dataDir=/d\nsnapshot.compression.method=zstd', /must be gz, snappy or CHECKED, not zstd/],
  ['dataDir=/d\nsecureClientPort=1', /needs ssl.keyStore.location/],
  ['dataDir=/d\nsecureClientPort=1\nssl.keyStore.location=/a.jks', /must be a PEM file/],
  ['dataDir=/d\nsecureClientPort=1\nssl.keyStore.location=/none/a.pem', /cannot read \/none\/a.pem/],
  ['dataDir=/d\nenforce.auth.enabled=true', /needs enforce.auth.schemes/],
  ['dataDir=/d\njava.security.auth.login.config=/dev/null', /no section Server/],
  ['dataDir=/d\nmetricsProvider.className=PrometheusMetricsProvider', /needs metricsProvider.httpPort/],
])('zoo.cfg - %j is refused', (text, message) => {
  expect(() => readZooCfg(text)).toThrow(message)
})

test('zoo.cfg - logs go to their own folder, and are found there again', async () => {
  await using folder = temporaryFolder()
  const { options } = readZooCfg(
    `dataDir=${folder.path}/data\ndataLogDir=${folder.path}/log\nclientPort=0\nadmin.enableServer=false`,
  )
  const settings = { ...options, dataDir: `${folder.path}/data` }
  const server = await EmbeddedServer.start(settings)
  const session = await RawSession.connect(server.endpoint)
  await server.close()
  expect((await readdir(`${folder.path}/log/version-2`)).every(name => name.startsWith('log.'))).toBe(true)
  expect(await readdir(`${folder.path}/data/version-2`)).toEqual(['snapshot.0'])
  const again = await EmbeddedServer.start(settings)
  const { sessionId, password } = session.granted
  await using resumed = await RawSession.connect(again.endpoint, { sessionId, password })
  expect(resumed.sessionId).toBe(sessionId)
  await again.close()
})
