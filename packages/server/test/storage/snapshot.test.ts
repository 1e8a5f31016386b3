import { silentLogger } from '@conclave/core'
import { OpCode } from '@conclave/protocol'
import { expect, test } from 'vitest'
import { DataFolder } from '../../src/storage/data-folder.ts'
import { recover } from '../../src/storage/recovery.ts'
import { purge } from '../../src/storage/retention.ts'
import { describeState, ScriptedServer, TICK_MS } from '../support/scripted-server.ts'

async function reread(server: ScriptedServer): Promise<string[]> {
  const { state } = await recover(new DataFolder(server.disk, 'data'), TICK_MS, silentLogger)
  return describeState(state)
}

test('snapshot - read back, it is the state', async () => {
  const server = await ScriptedServer.start()
  server.execute({ type: OpCode.createSession, timeoutMs: 30_000 })
  for (let i = 0; i < 50; i++) server.create(`/znode-${i}`)
  server.execute({
    type: OpCode.setAcl,
    path: '/znode-1',
    acl: [{ perms: 1, scheme: 'ip', id: '10.0.0.1' }],
    version: 1,
  })
  server.execute({
    type: OpCode.createContainer,
    path: '/box',
    data: null,
    acl: [{ perms: 31, scheme: 'world', id: 'anyone' }],
    parentCversion: 51,
  })
  server.execute({
    type: OpCode.create,
    path: '/mine',
    data: null,
    acl: [{ perms: 31, scheme: 'world', id: 'anyone' }],
    ephemeral: true,
    parentCversion: 52,
  })
  await server.commit.drain()
  const zxid = await server.snapshot()
  await server.disk.remove('data/version-2/log.1')
  expect(zxid).toBe(server.state.lastZxid)
  expect(await reread(server)).toEqual(describeState(server.state))
})

test('snapshot - taken while the tree changes under it, the log makes good the difference', async () => {
  const server = await ScriptedServer.start()
  for (let i = 0; i < 600; i++) server.create(`/old-${i}`, 'x'.repeat(1_000))
  await server.commit.drain()
  server.commit.roll()
  const taken = server.snapshot()
  let changes = 0
  let done = false
  void taken.then(() => (done = true))
  while (!done) {
    const i = changes++ % 600
    if (server.state.tree.get(`/old-${i}`) !== undefined)
      server.execute({ type: OpCode.delete, path: `/old-${i}` })
    server.create(`/new-${changes}`)
    server.create(`/new-${changes}/below`)
    // A path that goes and comes back is met twice.
    if (changes % 2 === 0) {
      server.execute({ type: OpCode.delete, path: `/new-${changes}/below` })
      server.execute({ type: OpCode.delete, path: `/new-${changes}` })
      server.create(`/new-${changes}`)
    }
    server.execute({
      type: OpCode.setAcl,
      path: `/new-${changes}`,
      acl: [{ perms: changes % 31, scheme: 'world', id: 'anyone' }],
      version: 1,
    })
    await new Promise(resolve => setImmediate(resolve))
  }
  expect(changes).toBeGreaterThan(5)
  await server.commit.drain()
  expect(await reread(server)).toEqual(describeState(server.state))
})

test('snapshot - one that is damaged is passed over for the one before it', async () => {
  const server = await ScriptedServer.start()
  server.create('/a')
  await server.commit.drain()
  await server.snapshot()
  server.create('/b')
  await server.commit.drain()
  await server.snapshot()
  const path = 'data/version-2/snapshot.2'
  const bytes = Buffer.from(server.disk.bytes(path))
  for (let at = 0; at < bytes.length; at++) {
    const damaged = Buffer.from(bytes)
    damaged[at]! ^= 0x41
    server.disk.put(path, damaged)
    expect(await reread(server), `damaged at ${at}`).toEqual(describeState(server.state))
  }
  for (let length = 0; length < bytes.length; length++) {
    server.disk.put(path, bytes.subarray(0, length))
    expect(await reread(server), `cut at ${length}`).toEqual(describeState(server.state))
  }
})

test('retention - keeps the newest snapshots and the logs since the oldest of them', async () => {
  const server = await ScriptedServer.start()
  for (let i = 0; i < 6; i++) {
    server.create(`/znode-${i}`)
    await server.commit.drain()
    server.commit.roll()
    await server.snapshot()
  }
  await purge(server.folder, 3)
  expect((await server.folder.snapshots()).map(({ zxid }) => zxid)).toEqual([4, 5, 6])
  expect((await server.folder.logs()).map(({ zxid }) => zxid)).toEqual([4, 5, 6])
  expect(await reread(server)).toEqual(describeState(server.state))
})

test('snapshot - larger than what is in memory at a time, it is read back', async () => {
  const server = await ScriptedServer.start()
  server.create('/large', 'x'.repeat(5 << 20))
  for (let i = 0; i < 5_000; i++) server.create(`/znode-${i}`, 'x'.repeat(900 + (i % 100)))
  await server.commit.drain()
  await server.snapshot()
  await server.disk.remove('data/version-2/log.1')
  expect(await reread(server)).toEqual(describeState(server.state))
})
