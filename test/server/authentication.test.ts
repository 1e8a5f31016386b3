import type { Endpoint } from '@conclave/core'
import {
  auth,
  create,
  exists,
  getData,
  isServerProof,
  OPEN_ACL,
  respondToChallenge,
  sasl,
  whoAmI,
  type Acl,
} from '@conclave/protocol'
import { EmbeddedServer, type ServerOptions } from '@conclave/server'
import { ApacheZooKeeper, RawSession, temporaryFolder } from '@conclave/testing'
import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const USERS = { bob: 'secret', alice: 'other', super: 'admin' }
const JAAS = `Server {
  org.apache.zookeeper.server.auth.DigestLoginModule required
${Object.entries(USERS)
  .map(([name, password]) => `  user_${name}="${password}"`)
  .join('\n')};
};
`

interface Server {
  readonly endpoint: Endpoint
  close(): Promise<void>
}

interface Variant {
  readonly settings: Readonly<Record<string, string>>
  readonly options: Partial<ServerOptions>
}

const OPEN: Variant = { settings: {}, options: { sasl: { users: USERS } } }
const ENFORCED: Variant = {
  settings: { 'enforce.auth.enabled': 'true', 'enforce.auth.schemes': 'digest' },
  options: { sasl: { users: USERS }, requiredSchemes: ['digest'] },
}
const SASL_ONLY: Variant = {
  settings: { sessionRequireClientSASLAuth: 'true' },
  options: { sasl: { users: USERS }, requiredSchemes: ['sasl'] },
}
const FORGIVING: Variant = {
  settings: { allowSaslFailedClients: 'true' },
  options: { sasl: { users: USERS, allowFailedClients: true } },
}

const folder = temporaryFolder()
afterAll(() => folder.remove())

async function startApache({ settings }: Variant): Promise<Server> {
  await writeFile(`${folder.path}/jaas.conf`, JAAS)
  return ApacheZooKeeper.start({
    settings: {
      ...settings,
      'authProvider.1': 'org.apache.zookeeper.server.auth.SASLAuthenticationProvider',
    },
    systemProperties: { 'java.security.auth.login.config': `${folder.path}/jaas.conf` },
  })
}

function startEmbedded({ options }: Variant): Promise<Server> {
  return EmbeddedServer.start({ dataDir: `${folder.path}/${crypto.randomUUID()}`, port: 0, ...options })
}

/** What a session gets to see of the exchange. */
async function prove(session: RawSession, username: string, password: string): Promise<string> {
  const { response } = await session.call(sasl, { token: Buffer.alloc(0) })
  const { token, expectedProof } = respondToChallenge(response!.token!, { username, password }, 'cnonce')
  const { errorCode, response: last } = await session.call(sasl, { token })
  const proof = last?.token ?? null
  return `${errorCode} ${proof !== null && isServerProof(proof, expectedProof)}`
}

/** The outcome of a step, or that the connection ended. */
async function codeOf(step: Promise<{ errorCode: number }>): Promise<number | 'ended'> {
  return step.then(
    ({ errorCode }) => errorCode,
    () => 'ended',
  )
}

/** A script of what clients do, and what they see: the same on both servers. */
const SCRIPTS: readonly {
  name: string
  variant: Variant
  run: (endpoint: Endpoint) => Promise<unknown[]>
}[] = [
  {
    name: 'users prove themselves and own znodes',
    variant: OPEN,
    async run(endpoint) {
      await using bob = await RawSession.connect(endpoint)
      await using alice = await RawSession.connect(endpoint)
      const acl: readonly Acl[] = [{ perms: 31, scheme: 'auth', id: '' }]
      const steps: unknown[] = [await prove(bob, 'bob', 'secret'), await prove(alice, 'alice', 'other')]
      steps.push((await bob.call(create, { path: '/bob', data: null, acl, flags: 0 })).errorCode)
      steps.push((await alice.call(getData, { path: '/bob', watch: false })).errorCode)
      await using admin = await RawSession.connect(endpoint)
      steps.push(await prove(admin, 'super', 'admin'))
      steps.push((await admin.call(getData, { path: '/bob', watch: false })).errorCode)
      steps.push((await bob.call(whoAmI, undefined)).response?.clientInfo.map(({ user }) => user).sort())
      return steps
    },
  },
  {
    name: 'a wrong password or user ends the connection',
    variant: OPEN,
    async run(endpoint) {
      const steps: unknown[] = []
      for (const [name, password] of [
        ['bob', 'wrong'],
        // Not a password of somebody else: Apache's server before 3.9 would take it from anybody unknown.
        ['nobody', 'nothing'],
      ] as const) {
        await using session = await RawSession.connect(endpoint)
        steps.push(await prove(session, name, password))
        await session.ended
      }
      return steps
    },
  },
  {
    name: 'who failed may stay where that is allowed',
    variant: FORGIVING,
    async run(endpoint) {
      await using session = await RawSession.connect(endpoint)
      return [
        await prove(session, 'bob', 'wrong'),
        await codeOf(session.call(exists, { path: '/', watch: false })),
      ]
    },
  },
  {
    name: 'access lists with names of users',
    variant: OPEN,
    async run(endpoint) {
      await using session = await RawSession.connect(endpoint)
      const steps: unknown[] = []
      for (const id of ['bob', 'bob@REALM', 'bob/host@REALM', 'a@b@c', 'a/b/c@d', 'a/b']) {
        const acl = [...OPEN_ACL, { perms: 1, scheme: 'sasl', id }]
        const path = `/acl-${steps.length}`
        steps.push((await session.call(create, { path, data: null, acl, flags: 0 })).errorCode)
      }
      return steps
    },
  },
  {
    name: 'with digest required, only who has shown a password is heard',
    variant: ENFORCED,
    async run(endpoint) {
      await using stranger = await RawSession.connect(endpoint)
      const refused = await stranger.call(exists, { path: '/', watch: false })
      await stranger.ended
      await using known = await RawSession.connect(endpoint)
      await known.call(auth, { type: 0, scheme: 'digest', auth: Buffer.from('bob:secret') })
      const heard = await known.call(exists, { path: '/', watch: false })
      await using bySasl = await RawSession.connect(endpoint)
      const proven = await prove(bySasl, 'bob', 'secret')
      return [
        refused.errorCode,
        Number(refused.zxid),
        heard.errorCode,
        proven,
        await codeOf(bySasl.call(exists, { path: '/', watch: false })),
      ]
    },
  },
  {
    name: 'with SASL required, a password that is wrong ends the session for want of it',
    variant: SASL_ONLY,
    async run(endpoint) {
      await using known = await RawSession.connect(endpoint)
      const proven = await prove(known, 'bob', 'secret')
      const heard = await codeOf(known.call(exists, { path: '/', watch: false }))
      await using wrong = await RawSession.connect(endpoint)
      return [proven, heard, await prove(wrong, 'bob', 'wrong')]
    },
  },
]

const VARIANTS = [OPEN, FORGIVING, ENFORCED, SASL_ONLY]

describe.each(VARIANTS)('authentication with %j', variant => {
  const servers: Server[] = []
  beforeAll(async () => {
    servers.push(await startApache(variant), await startEmbedded(variant))
  }, 90_000)
  afterAll(() => Promise.all(servers.map(server => server.close())))

  test.each(SCRIPTS.filter(script => script.variant === variant))(
    'authentication - Apache ZooKeeper and the embedded server alike: $name',
    async ({ run }) => {
      const [expected, actual] = [await run(servers[0]!.endpoint), await run(servers[1]!.endpoint)]
      expect(actual).toEqual(expected)
    },
  )
})
