import type { Endpoint } from '@conclave/core'
import {
  auth,
  create,
  createContainer,
  deleteNode,
  multi,
  OPEN_ACL,
  setAcl,
  setData,
  closeSession,
} from '@conclave/protocol'
import { auditLine, EmbeddedServer } from '@conclave/server'
import { ApacheZooKeeper, eventually, RawSession, temporaryFolder } from '@conclave/testing'
import { expect, test } from 'vitest'

/** Does some of everything that is told of. */
async function work(endpoint: Endpoint): Promise<void> {
  await using session = await RawSession.connect(endpoint)
  const znode = { data: null, acl: OPEN_ACL }
  await session.call(auth, { type: 0, scheme: 'digest', auth: Buffer.from('bob:secret') })
  await session.call(create, { ...znode, path: '/a', flags: 0 })
  await session.call(create, { ...znode, path: '/a/s-', flags: 2 })
  await session.call(create, { ...znode, path: '/e', flags: 1 })
  await session.call(create, { ...znode, path: '/a', flags: 0 })
  await session.call(create, { ...znode, path: '/no/parent', flags: 1 })
  await session.call(createContainer, { ...znode, path: '/c', flags: 4 })
  await session.call(setData, { path: '/a', data: null, version: -1 })
  await session.call(setData, { path: '/a', data: null, version: 7 })
  const acl = [
    { perms: 31, scheme: 'world', id: 'anyone' },
    { perms: 5, scheme: 'ip', id: '10.0.0.1' },
  ]
  await session.call(setAcl, { path: '/a', acl, version: -1 })
  await session.call(setAcl, { path: '/nothing', acl, version: -1 })
  await session.call(multi, {
    ops: [
      { op: 'create', ...znode, path: '/m', flags: 0 },
      { op: 'setData', path: '/m', data: null, version: -1 },
      { op: 'check', path: '/m', version: 1 },
      { op: 'delete', path: '/m', version: -1 },
    ],
  })
  await session.call(deleteNode, { path: '/c', version: -1 })
  await session.call(deleteNode, { path: '/nothing', version: -1 })
  await session.call(closeSession, undefined)
}

/** Without what differs from one start to the other: session ids, who runs the server, the order of identities. */
function comparable(line: string): string {
  return line
    .replace(/session=0x[0-9a-f]+/, 'session=ID')
    .replace(/user=[^\t]*(?=\toperation=(server|ephemeral))/, 'user=SERVER')
    .replace(/user=([^\t]*)/, (_, users: string) => `user=${users.split(',').sort().join(',')}`)
}

test('audit log - line by line that of Apache ZooKeeper', async () => {
  await using apache = await ApacheZooKeeper.start({
    settings: { 'audit.enable': 'true' },
    systemProperties: { 'org.slf4j.simpleLogger.log.org.apache.zookeeper.audit.Slf4jAuditLogger': 'info' },
  })
  await work(apache.endpoint)
  const theirs = (): string[] =>
    apache.process.stderr.split('\n').flatMap(line => line.split('Slf4jAuditLogger - ').slice(1))
  await eventually(() => theirs().some(line => line.includes('ephemeralZNode')), { what: 'the last line' })

  await using folder = temporaryFolder()
  const ours: string[] = []
  const server = await EmbeddedServer.start({
    dataDir: folder.path,
    port: 0,
    audit: event => ours.push(auditLine(event)),
  })
  await work(server.endpoint)
  expect(ours.map(comparable)).toEqual(theirs().map(comparable))
  await server.close()
})
