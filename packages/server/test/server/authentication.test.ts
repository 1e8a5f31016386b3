import {
  auth,
  create,
  getData,
  isServerProof,
  ping,
  respondToChallenge,
  sasl,
  whoAmI,
  type Acl,
} from '@conclave/protocol'
import { RawSession } from '@conclave/testing'
import { expect, test } from 'vitest'
import { startServer, type TestServer } from '../support/embedded.ts'

const AUTH_FAILED = -115
const REQUIRES_AUTH = -124
const NO_AUTH = -102
const USERS = { users: { bob: 'secret', super: 'admin', 'a"b\\c': 'é' } }

/** Goes through the exchange; the error code of the last step, and whether the server proved itself. */
async function prove(
  session: RawSession,
  username: string,
  password: string,
): Promise<{ errorCode: number; isProven: boolean }> {
  const { response } = await session.call(sasl, { token: Buffer.alloc(0) })
  const { token, expectedProof } = respondToChallenge(response!.token!, { username, password }, 'cnonce')
  const { errorCode, response: last } = await session.call(sasl, { token })
  const proof = last?.token ?? null
  return { errorCode, isProven: proof !== null && isServerProof(proof, expectedProof) }
}

async function connect({ server }: TestServer): Promise<RawSession> {
  return RawSession.connect(server.endpoint)
}

async function identities(session: RawSession): Promise<string[]> {
  const { response } = await session.call(whoAmI, undefined)
  return response!.clientInfo.map(({ authScheme, user }) => `${authScheme}:${user}`)
}

test.each(Object.entries(USERS.users))(
  'sasl - %s proves himself with his password',
  async (name, password) => {
    await using running = await startServer({ sasl: USERS })
    await using session = await connect(running)
    expect(await prove(session, name, password)).toEqual({ errorCode: 0, isProven: true })
    expect(await identities(session)).toEqual(['ip:127.0.0.1', `sasl:${name}`])
  },
)

test('sasl - what a user has is closed to others, and open to super', async () => {
  await using running = await startServer({ sasl: USERS })
  await using bob = await connect(running)
  await prove(bob, 'bob', 'secret')
  const acl: readonly Acl[] = [{ perms: 31, scheme: 'auth', id: '' }]
  expect((await bob.call(create, { path: '/bob', data: null, acl, flags: 0 })).errorCode).toBe(0)
  await using stranger = await connect(running)
  expect((await stranger.call(getData, { path: '/bob', watch: false })).errorCode).toBe(NO_AUTH)
  await prove(stranger, 'super', 'admin')
  expect((await stranger.call(getData, { path: '/bob', watch: false })).errorCode).toBe(0)
})

test('sasl - one of the superusers may do everything', async () => {
  await using running = await startServer({ sasl: { ...USERS, superUsers: ['bob'] } })
  await using session = await connect(running)
  await prove(session, 'bob', 'secret')
  expect(await identities(session)).toContain('super:')
})

test.each([
  ['bob', 'wrong'],
  ['nobody', 'secret'],
  ['constructor', 'secret'],
])('sasl - %s with the password %s is sent away', async (name, password) => {
  await using running = await startServer({ sasl: USERS })
  await using session = await connect(running)
  expect(await prove(session, name, password)).toEqual({ errorCode: AUTH_FAILED, isProven: false })
  await session.ended
})

test('sasl - who is sent away gets a token all the same, which Java reads before the error', async () => {
  await using running = await startServer({ sasl: USERS })
  await using session = await connect(running)
  const { errorCode, body } = await session.request(sasl.opCode, writer => writer.bytes(Buffer.from('no')))
  expect({ errorCode, body }).toEqual({ errorCode: AUTH_FAILED, body: Buffer.alloc(4, 0xff) })
})

test('sasl - a response without a challenge, or to one that was answered, proves nothing', async () => {
  await using running = await startServer({ sasl: USERS })
  await using session = await connect(running)
  const { response } = await session.call(sasl, { token: Buffer.alloc(0) })
  const { token } = respondToChallenge(response!.token!, { username: 'bob', password: 'secret' }, 'c')
  await using other = await connect(running)
  expect((await other.call(sasl, { token })).errorCode).toBe(AUTH_FAILED)
  expect((await session.call(sasl, { token })).errorCode).toBe(0)
  expect((await session.call(sasl, { token })).errorCode).toBe(AUTH_FAILED)
})

test.each(['nonsense', 'username="bob', 'username="bob",username="bob"', 'x'.repeat(5_000)])(
  'sasl - %.20s is no response',
  async text => {
    await using running = await startServer({ sasl: USERS })
    await using session = await connect(running)
    await session.call(sasl, { token: Buffer.alloc(0) })
    expect((await session.call(sasl, { token: Buffer.from(text) })).errorCode).toBe(AUTH_FAILED)
  },
)

test('sasl - who failed may stay where that is allowed, as nobody', async () => {
  await using running = await startServer({ sasl: { ...USERS, allowFailedClients: true } })
  await using session = await connect(running)
  expect(await prove(session, 'bob', 'wrong')).toEqual({ errorCode: 0, isProven: false })
  expect(await identities(session)).toEqual(['ip:127.0.0.1'])
})

test('sasl - without users an answer without a token', async () => {
  await using running = await startServer()
  await using session = await connect(running)
  expect((await session.call(sasl, { token: Buffer.alloc(0) })).response).toEqual({ token: null })
})

test('required schemes - a session does nothing before it has proven who it is', async () => {
  await using running = await startServer({ requiredSchemes: ['digest', 'sasl'], sasl: USERS })
  await using refused = await connect(running)
  expect((await refused.call(ping, undefined)).errorCode).toBe(REQUIRES_AUTH)
  await refused.ended
  await using byPassword = await connect(running)
  await byPassword.call(auth, { type: 0, scheme: 'digest', auth: Buffer.from('bob:any') })
  expect((await byPassword.call(ping, undefined)).errorCode).toBe(0)
  await using bySasl = await connect(running)
  await prove(bySasl, 'bob', 'secret')
  expect((await bySasl.call(ping, undefined)).errorCode).toBe(0)
  await using wrong = await connect(running)
  expect((await prove(wrong, 'bob', 'wrong')).errorCode).toBe(REQUIRES_AUTH)
})

test('required schemes - one that nobody can have is refused', async () => {
  await expect(startServer({ requiredSchemes: ['kerberos'] })).rejects.toThrow(/nobody can authenticate by/)
})
