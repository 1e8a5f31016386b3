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
jute.maxbuffer=4194304
enforceQuota=true
zookeeper.DigestAuthenticationProvider.superDigest=super:xQJmxLMiHGwaqBvst5y6rkB6HQs=
4lw.commands.whitelist=stat, ruok
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
    maxFrameBytes: 4_194_304,
    enforceQuota: true,
    superDigest: 'super:xQJmxLMiHGwaqBvst5y6rkB6HQs=',
    fourLetterWords: ['stat', 'ruok'],
  })
})

test('zoo.cfg - what has no effect is named with the reason', () => {
  const { warnings } = readZooCfg(
    'dataDir=/d\ninitLimit=5\nadmin.serverPort=8080\nsecureClientPort=2281\nfooBar=1',
  )
  expect(warnings).toEqual([
    'initLimit has no effect: it concerns an ensemble, and this server is one by itself',
    'admin.serverPort has no effect: it has no HTTP page; the four-letter word mntr has the figures',
    'secureClientPort has no effect: a port with TLS is the option secure of EmbeddedServer.start',
    'fooBar has no effect: this server does not know it',
  ])
})

test.each([
  ['tickTime=2000', /names no dataDir/],
  ['dataDir=/d\nserver.1=a:2888:3888', /one by itself/],
  ['dataDir=/d\nclientPort=many', /whole number/],
])('zoo.cfg - %j is refused', (text, message) => {
  expect(() => readZooCfg(text)).toThrow(message)
})

test('zoo.cfg - logs go to their own folder, and are found there again', async () => {
  await using folder = temporaryFolder()
  const { options } = readZooCfg(`dataDir=${folder.path}/data\ndataLogDir=${folder.path}/log\nclientPort=0`)
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
