import { tlsNetwork } from '@conclave/core'
import { create, getData, OPEN_ACL, ping, whoAmI } from '@conclave/protocol'
import { ADDRESS_FILE } from '@conclave/server'
import { fourLetterWord, RawSession, testCertificates } from '@conclave/testing'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { startServer } from '../support/embedded.ts'

const { authority, server, client, stranger } = testCertificates()
const NO_AUTH = -102

function secure(clientAuth: 'none' | 'request' | 'require'): { secure: { port: number; tls: object } } {
  return { secure: { port: 0, tls: { ca: authority.cert, ...server, clientAuth } } }
}

test('tls - sessions go over it, and move between the secure and the plain port', async () => {
  await using running = await startServer(secure('none'))
  const network = tlsNetwork({ ca: authority.cert })
  const session = await RawSession.connect(running.server.secureEndpoint!, { network })
  const big = { path: '/a', data: Buffer.alloc(500_000, 'x'), acl: OPEN_ACL, flags: 0 }
  expect((await session.call(create, big)).errorCode).toBe(0)
  const { sessionId, password } = session.granted
  await using moved = await RawSession.connect(running.server.endpoint, { sessionId, password })
  expect((await moved.call(getData, { path: '/a', watch: false })).response?.data).toHaveLength(500_000)
  expect(await fourLetterWord(running.server.endpoint, 'conf')).toContain(
    `secureClientPort=${running.server.secureEndpoint!.port}\n`,
  )
})

test('tls - a certificate is an identity, to be named in access lists', async () => {
  await using running = await startServer(secure('request'))
  const endpoint = running.server.secureEndpoint!
  await using known = await RawSession.connect(endpoint, {
    network: tlsNetwork({ ca: authority.cert, ...client }),
  })
  const identity = (await known.call(whoAmI, undefined)).response?.clientInfo.find(
    ({ authScheme }) => authScheme === 'x509',
  )
  expect(identity?.user).toBe('CN=client,O=Conclave')
  const acl = [{ perms: 31, scheme: 'x509', id: identity!.user }]
  expect((await known.call(create, { path: '/mine', data: null, acl, flags: 0 })).errorCode).toBe(0)
  expect((await known.call(getData, { path: '/mine', watch: false })).errorCode).toBe(0)
  await using unknown = await RawSession.connect(endpoint, { network: tlsNetwork({ ca: authority.cert }) })
  expect((await unknown.call(getData, { path: '/mine', watch: false })).errorCode).toBe(NO_AUTH)
})

test('tls - a client without the certificate that is required does not get in', async () => {
  await using running = await startServer(secure('require'))
  const endpoint = running.server.secureEndpoint!
  for (const own of [{}, stranger]) {
    const network = tlsNetwork({ ca: authority.cert, ...own })
    await expect(RawSession.connect(endpoint, { network })).rejects.toThrow()
  }
  await using session = await RawSession.connect(endpoint, {
    network: tlsNetwork({ ca: authority.cert, ...client }),
  })
  expect((await session.call(ping, undefined)).errorCode).toBe(0)
})

test('tls - on a port with both, a client that says nothing does not keep the server from ending', async () => {
  const { tls } = secure('none').secure
  await using running = await startServer({ secure: { tls, onPlainPort: true } })
  const silent = connect(running.server.endpoint)
  await once(silent, 'connect')
  expect(await fourLetterWord(running.server.endpoint, 'ruok')).toBe('imok')
  const ended = once(silent, 'close')
  await running.server.close()
  await ended
})

test('tls - the plain port takes it as well, where it is told to', async () => {
  const { tls } = secure('request').secure
  await using running = await startServer({ secure: { tls, onPlainPort: true } })
  const { endpoint } = running.server
  expect(running.server.secureEndpoint).toBeUndefined()
  await using plain = await RawSession.connect(endpoint)
  const network = tlsNetwork({ ca: authority.cert, ...client })
  await using secured = await RawSession.connect(endpoint, { network })
  const big = { path: '/a', data: Buffer.alloc(500_000, 'x'), acl: OPEN_ACL, flags: 0 }
  expect((await secured.call(create, big)).errorCode).toBe(0)
  expect((await plain.call(getData, { path: '/a', watch: false })).response?.data).toHaveLength(500_000)
  const schemes = (await secured.call(whoAmI, undefined)).response?.clientInfo.map(
    ({ authScheme }) => authScheme,
  )
  expect(schemes).toEqual(['ip', 'x509'])
  expect(await fourLetterWord(endpoint, 'ruok')).toBe('imok')
})

test('tls - without a plain port the secure one is where the server is found', async () => {
  await using running = await startServer({ secure: { ...secure('none').secure, only: true } })
  expect(running.server.endpoint).toEqual(running.server.secureEndpoint)
  const address = JSON.parse(await readFile(`${running.dataDir}/${ADDRESS_FILE}`, 'utf8')) as unknown
  expect(address).toMatchObject({ ...running.server.endpoint, isSecure: true })
  const network = tlsNetwork({ ca: authority.cert })
  await using session = await RawSession.connect(running.server.endpoint, { network })
  expect((await session.call(ping, undefined)).errorCode).toBe(0)
})

test('tls - a certificate can be that of the superuser', async () => {
  await using running = await startServer({ ...secure('request'), x509SuperUser: 'CN=client,O=Conclave' })
  const network = tlsNetwork({ ca: authority.cert, ...client })
  await using session = await RawSession.connect(running.server.secureEndpoint!, { network })
  const acl = [{ perms: 31, scheme: 'digest', id: 'bob:hash' }]
  expect((await session.call(create, { path: '/bob', data: null, acl, flags: 0 })).errorCode).toBe(0)
  expect((await session.call(getData, { path: '/bob', watch: false })).errorCode).toBe(0)
})

test.each([{ onPlainPort: false }, { onPlainPort: true, only: true }])(
  'tls - %j names no port to listen on',
  async options => {
    const start = startServer({ secure: { ...options, tls: secure('none').secure.tls } })
    await expect(start).rejects.toMatchObject({ code: 'USAGE' })
  },
)
