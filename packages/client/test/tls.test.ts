import { nodePlatform, tlsNetwork, type TlsOptions } from '@conclave/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { closeSession, ConnectionLossError, ZooKeeper } from '@conclave/client'
import { EmbeddedServer } from '@conclave/server'
import { FaultProxy, temporaryFolder, testCertificates, type TemporaryFolder } from '@conclave/testing'

const { authority, stranger, server: serverCertificate, client } = testCertificates()
const trusting: TlsOptions = { ca: authority.cert, cert: client.cert, key: client.key }

let folder: TemporaryFolder
let server: EmbeddedServer

beforeAll(async () => {
  folder = temporaryFolder()
  const network = tlsNetwork({
    ca: authority.cert,
    cert: serverCertificate.cert,
    key: serverCertificate.key,
    clientAuth: 'require',
  })
  const platform = { ...nodePlatform, network }
  server = await EmbeddedServer.start({ dataDir: folder.path, port: 0, tickTimeMs: 200, platform })
})

afterAll(async () => {
  await server.close()
  await folder.remove()
})

const short = { establishTimeoutMs: 300, sessionTimeoutMs: 4_000 }

describe('tls', () => {
  test('session - it works over TLS with both sides proven', async () => {
    const zk = await ZooKeeper.connect(server.connectString, { tls: trusting })
    await zk.create('/a', 'x'.repeat(100_000))
    expect((await zk.getData('/a')).stat.dataLength).toBe(100_000)
    const { session } = zk
    await zk.detach()
    expect(await closeSession(server.connectString, session, { tls: trusting })).toBe(true)
  })

  test('names - the certificate is checked for the name of the connect string', async () => {
    const { port } = server.endpoint
    const zk = await ZooKeeper.connect(`localhost:${port}`, { tls: trusting })
    await zk.close()
  })

  test.each([
    ['an authority that is not known', { ...trusting, ca: stranger.cert }],
    ['no certificate of the client', { ca: authority.cert }],
  ])('refusal - %s: the error says that no server could be reached, and why', async (_, tls) => {
    const connecting = ZooKeeper.connect(server.connectString, { ...short, tls })
    await expect(connecting).rejects.toBeInstanceOf(ConnectionLossError)
    await expect(connecting).rejects.toThrow(/no ZooKeeper server could be reached: ./)
  })

  test('renewal - a function is asked for each connection, and the session goes on', async () => {
    const proxy = await FaultProxy.start(server.endpoint)
    const asked: string[] = []
    const zk = await ZooKeeper.connect(proxy.connectString, {
      tls: () => {
        asked.push('certificate')
        return trusting
      },
    })
    const { sessionId } = zk.session
    proxy.cut()
    await zk.sync()
    expect([zk.session.sessionId, asked.length]).toEqual([sessionId, 2])
    await zk.close()
    await proxy.close()
  })

  test('plain text - a client without TLS gets nowhere', async () => {
    await expect(ZooKeeper.connect(server.connectString, short)).rejects.toBeInstanceOf(ConnectionLossError)
  })
})
