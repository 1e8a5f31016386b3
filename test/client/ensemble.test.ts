import { ZooKeeper } from '@conclave/client'
import { formatEndpoint } from '@conclave/core'
import { ApacheEnsemble, eventually, leakGuard } from '@conclave/testing'
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'

/** Whoever may do anything, the change of the ensemble's members included. */
const SUPERUSER = 'super:for-tests'

let assertClean: () => Promise<void>
let ensemble: ApacheEnsemble

beforeAll(async () => {
  assertClean = leakGuard()
  const superDigest = `super:${createHash('sha1').update(SUPERUSER).digest('base64')}`
  ensemble = await ApacheEnsemble.start({
    tickTimeMs: 500,
    settings: { reconfigEnabled: 'true', 'DigestAuthenticationProvider.superDigest': superDigest },
  })
})

afterAll(async () => {
  await ensemble.close()
  await assertClean()
})

/** The server that a client is connected to. */
function serverOf(zk: ZooKeeper): ApacheEnsemble['servers'][number] {
  const { endpoint } = zk
  const server = ensemble.servers.find(
    ({ connectString }) => endpoint && connectString === formatEndpoint(endpoint),
  )
  if (server === undefined) throw new Error('connected to none of the ensemble')
  return server
}

test('ensemble - a session, its ephemerals and its watches move to another server when its own dies', async () => {
  await using witness = await ZooKeeper.connect(ensemble.connectString)
  const zk = await ZooKeeper.connect(ensemble.connectString)
  const { sessionId } = zk.session
  await zk.create('/moving', null, { mode: 'ephemeral' })
  const events: string[] = []
  await zk.exists('/awaited', { watch: ({ type }) => events.push(type) })

  // Each server in turn, so that one of them leads the quorum.
  for (let move = 1; move <= 3; move++) {
    const server = serverOf(zk)
    await server.kill()
    await zk.setData('/moving', `${move}`).catch(() => zk.setData('/moving', `${move}`))
    expect(serverOf(zk)).not.toBe(server)
    expect(zk.session.sessionId).toBe(sessionId)
    await server.restart()
  }

  await witness.sync()
  const { data, stat } = await witness.getData('/moving')
  expect(data?.toString()).toBe('3')
  expect(stat.ephemeralOwner).toBe(sessionId)
  await witness.create('/awaited')
  await eventually(() => events.length > 0, { what: 'the watch that moved along' })
  await zk.close()
  await witness.sync()
  expect(await witness.exists('/moving')).toBeNull()
  expect(events).toEqual(['nodeCreated'])
})

test('ensemble - without a quorum nothing is acknowledged, and with one again all goes on', async () => {
  const [first, second] = ensemble.servers
  const zk = await ZooKeeper.connect(ensemble.connectString, { sessionTimeoutMs: 10_000 })
  await zk.create('/quorum', '0')
  await first!.kill()
  await second!.kill()
  await eventually(() => zk.state === 'suspended', { what: 'the loss of the quorum to show' })
  let acknowledged = false
  // A server that has not noticed yet may take a write and then drop it with the connection: it is tried again.
  const writing = eventually(() => zk.setData('/quorum', '1'), { timeoutMs: 30_000 }).then(
    () => (acknowledged = true),
  )
  expect(acknowledged).toBe(false)
  await first!.restart()
  await writing
  expect((await zk.getData('/quorum')).data?.toString()).toBe('1')
  await second!.restart()
  await zk.close()
})

test('ensemble - a member leaves and joins again, and who watches the configuration is told', async () => {
  const auth = [{ scheme: 'digest', auth: SUPERUSER }]
  // One that follows: a leader that leaves ends the connections of all.
  const leader = await eventually(() => ensemble.quorumLeader(), { what: 'a leader of the quorum' })
  const leaving = ensemble.servers.findIndex(server => server !== leader)
  const staying = ensemble.servers.filter((_, i) => i !== leaving).map(server => server.connectString)
  await using zk = await ZooKeeper.connect(staying.join(), { auth })
  await using other = await ZooKeeper.connect(staying.join())
  const told: string[] = []
  const { data } = await other.getConfig({ watch: ({ type, path }) => told.push(`${type} ${path}`) })
  const members = data!.toString().split('\n')
  const id = leaving + 1
  const member = members.find(line => line.startsWith(`server.${id}=`))!

  const without = await zk.reconfig({ leavingServers: String(id) })
  expect(without.data!.toString()).not.toContain(member)
  await eventually(() => told.length > 0, { what: 'the watch on the configuration' })
  expect(told).toEqual(['nodeDataChanged /zookeeper/config'])

  await expect(zk.reconfig({ joiningServers: member, fromConfig: 0x7fff_ffffn })).rejects.toMatchObject({
    code: 'BAD_VERSION',
    outcome: 'not-applied',
  })
  await expect(other.reconfig({ joiningServers: member })).rejects.toMatchObject({ code: 'NO_AUTH' })
  const again = await zk.reconfig({ joiningServers: member })
  expect(again.data!.toString().split('\n')).toContain(member)
  expect(again.stat.mzxid).toBeGreaterThan(without.stat.mzxid)
})
