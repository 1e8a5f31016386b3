import { fileURLToPath } from 'node:url'
import { ZooKeeper } from '@conclave/client'
import { connectCluster, joinCluster, startAgent, type ConnectionOptions } from '@conclave/cluster'
import type { TlsOptions } from '@conclave/core'
import { EmbeddedServer } from '@conclave/server'
import { eventually, killAtExit, temporaryFolder, testCertificates } from '@conclave/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'

type Tasks = typeof import('./support/tasks.js')

const tasks = new URL('./support/tasks.js', import.meta.url)
const { authority, server: certificate, client } = testCertificates()
const folder = temporaryFolder()
let server: EmbeddedServer

/** What the server below asks of everybody. */
const identified = {
  sasl: { username: 'bob', password: 'secret' },
  tls: (): TlsOptions => ({ ca: authority.cert, ...client }),
}

beforeAll(async () => {
  server = await EmbeddedServer.start({
    dataDir: folder.path,
    port: 0,
    secure: { onPlainPort: true, tls: { ca: authority.cert, ...certificate, clientAuth: 'require' } },
    sasl: { users: { bob: 'secret' } },
    requiredSchemes: ['sasl'],
  })
})

afterAll(async () => {
  await server.close()
  await folder.remove()
})

test('secured servers - nodes and submitters prove themselves, and nobody else can read the secret', async () => {
  const options: ConnectionOptions = {
    connect: server.connectString,
    cluster: 'secured',
    ...identified,
    maxStallMs: 30_000,
  }
  await using node = await joinCluster({ ...options, tasks, slots: 1 })
  await using cluster = await connectCluster<Tasks>(options)
  const job = await cluster.submit('double', [1, 2, 3])
  const values: unknown[] = []
  for await (const { value } of job.results({ ordered: true })) values.push(value)
  expect(values).toEqual([2, 4, 6])
  const { acl } = await node.zk.getAcl('/conclave/secured/secret')
  expect(acl.map(({ scheme, id }) => `${scheme}:${id}`)).toContain('sasl:bob')
  expect(acl.map(({ scheme }) => scheme)).not.toContain('world')
})

test('secured servers - an agent closes the session of a dead node with the proof that it was given', async () => {
  const program = fileURLToPath(new URL('./support/secured-node.mjs', import.meta.url))
  const { connectString } = server
  const proof = JSON.stringify({ sasl: identified.sasl, tls: identified.tls() })
  await using agent = await startAgent({
    connect: connectString,
    nodes: 1,
    program,
    args: [connectString, proof],
    ...identified,
  })
  await eventually(() => agent.nodes().every(({ state }) => state === 'up'))
  const { pid } = agent.nodes()[0]!
  killAtExit(pid!)
  await using zk = await ZooKeeper.connect(connectString, identified)
  expect(await zk.exists(`/member-${pid}`)).not.toBeNull()
  const exited = new Promise(resolve => agent.on('exited', resolve))
  process.kill(pid!, 'SIGKILL')
  expect(await exited).toMatchObject({ pid, sessionClosed: true })
  expect(await zk.exists(`/member-${pid}`)).toBeNull()
})

test('unknown options - one is named, with those that there are', async () => {
  await expect(joinCluster({ connect: server.connectString, saslUser: 'bob' } as never)).rejects.toThrow(
    "there is no option 'saslUser'; there are connect, cluster",
  )
})
