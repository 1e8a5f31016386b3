import { nodeDisk, type Disk } from '@conclave/core'
import { create, exists, getData, OPEN_ACL, setAcl, setData, type Acl } from '@conclave/protocol'
import type { AdminOptions, ServerOptions } from '@conclave/server'
import { RawSession } from '@conclave/testing'
import { readdir } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { passwordDigest } from '../../src/state/access.ts'
import { startServer, type TestServer } from '../support/embedded.ts'

const SUPER = { authorization: 'digest super:secret' }
const superDigest = passwordDigest('super:secret')

function start(admin: Partial<AdminOptions> = {}, options: Partial<ServerOptions> = {}): Promise<TestServer> {
  return startServer({ superDigest, admin: { port: 0, rateLimitMs: 0, ...admin }, ...options })
}

function command({ server }: TestServer, name: string, options: RequestInit = {}): Promise<Response> {
  return fetch(`http://127.0.0.1:${server.adminEndpoint!.port}/commands/${name}`, options)
}

async function snapshotOf(running: TestServer): Promise<Buffer> {
  const response = await command(running, 'snapshot', { headers: SUPER })
  expect(response.status).toBe(200)
  return Buffer.from(await response.arrayBuffer())
}

function restore(running: TestServer, body: Uint8Array): Promise<Response> {
  return command(running, 'restore', { method: 'POST', headers: SUPER, body: new Uint8Array(body) })
}

async function put(session: RawSession, path: string, data: string, flags = 0): Promise<bigint> {
  const { errorCode, zxid } = await session.call(create, {
    path,
    data: Buffer.from(data),
    acl: OPEN_ACL,
    flags,
  })
  expect(errorCode).toBe(0)
  return zxid
}

async function read(session: RawSession, path: string): Promise<string | undefined> {
  return (await session.call(getData, { path, watch: false })).response?.data?.toString()
}

test('admin snapshot - the file, its zxid and its size; without streaming those alone', async () => {
  await using running = await start()
  await using session = await RawSession.connect(running.server.endpoint)
  const zxid = await put(session, '/a', 'x')
  const response = await command(running, 'snap', { headers: SUPER })
  const bytes = Buffer.from(await response.arrayBuffer())
  expect(response.headers.get('content-type')).toBe('application/octet-stream')
  expect(response.headers.get('last_zxid')).toBe(`0x${zxid.toString(16)}`)
  expect(response.headers.get('snapshot_size')).toBe(String(bytes.length))
  expect(bytes.subarray(0, 4).toString()).toBe('ZKSN')
  expect(await readdir(`${running.dataDir}/version-2`)).toContain(`snapshot.${zxid.toString(16)}`)
  const told = await command(running, 'snapshot?streaming=false', { headers: SUPER })
  expect(told.headers.get('last_zxid')).toBe(`0x${zxid.toString(16)}`)
  expect(await told.json()).toEqual({ command: 'snapshot', error: null })
})

test.each(['none', 'gz', 'snappy'] as const)(
  'admin restore - the tree of the snapshot, with zxids that go on, on another server too (%s)',
  async snapshotCompression => {
    await using first = await startServer({ snapshotCompression, superDigest, admin: { port: 0 } })
    await using session = await RawSession.connect(first.server.endpoint)
    for (let i = 0; i < 5; i++) await put(session, `/old-${i}`, `old ${i}`)
    const bytes = await snapshotOf(first)
    await using second = await start()
    const other = await RawSession.connect(second.server.endpoint)
    let last = 0n
    for (let i = 0; i < 30; i++) last = await put(other, `/new-${i}`, `new ${i}`)
    const response = await restore(second, bytes)
    expect(await response.json()).toEqual({ last_zxid: Number(last) + 1, command: 'restore', error: null })
    await using after = await RawSession.connect(second.server.endpoint)
    expect(await read(after, '/old-4')).toBe('old 4')
    expect(await read(after, '/new-4')).toBeUndefined()
    expect(await put(after, '/later', '')).toBe(last + 3n)
    // What was before is still in the logs.
    expect((await second.server.treeAt(Number(last))).get('/new-4')?.data?.toString()).toBe('new 4')
    expect((await second.server.treeAt(Number(last) + 1)).get('/old-4')?.data?.toString()).toBe('old 4')
  },
)

test('admin restore - sessions end, and with them their ephemeral znodes, then and now', async () => {
  await using running = await start()
  const session = await RawSession.connect(running.server.endpoint)
  await put(session, '/ephemeral', 'then', 1)
  const bytes = await snapshotOf(running)
  await put(session, '/ephemeral-too', 'now', 1)
  expect((await restore(running, bytes)).status).toBe(200)
  const { sessionId, password } = session.granted
  const again = await RawSession.connect(running.server.endpoint, { sessionId, password })
  expect(again.granted.timeoutMs).toBe(0)
  await using other = await RawSession.connect(running.server.endpoint)
  for (const path of ['/ephemeral', '/ephemeral-too']) {
    expect((await other.call(exists, { path, watch: false })).errorCode).not.toBe(0)
  }
})

test('admin restore - what is none changes nothing, and ends no session', async () => {
  await using running = await start()
  await using session = await RawSession.connect(running.server.endpoint)
  await put(session, '/a', 'x')
  const bytes = await snapshotOf(running)
  const damaged = Buffer.from(bytes)
  damaged[damaged.length - 60]! ^= 1
  for (const body of [damaged, bytes.subarray(0, -1), Buffer.from('ZKSN'), Buffer.from([0x1f, 0x8b])]) {
    const response = await restore(running, body)
    expect(response.status).toBe(500)
    expect(await response.json()).toEqual({
      command: 'restore',
      error: 'what was sent is not a whole snapshot',
    })
  }
  expect(await read(session, '/a')).toBe('x')
  expect(await readdir(`${running.dataDir}/version-2`)).not.toContain('tmp.received')
})

test('admin restore - where the disk refuses it, the tree of before goes on', async () => {
  let isFull = false
  const disk: Disk = {
    ...nodeDisk,
    rename: (from, to) =>
      isFull
        ? Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' }))
        : nodeDisk.rename(from, to),
  }
  await using running = await start({}, { platform: { disk } })
  await using session = await RawSession.connect(running.server.endpoint)
  await put(session, '/a', 'then')
  const bytes = await snapshotOf(running)
  await session.call(setData, { path: '/a', data: Buffer.from('now'), version: -1 })
  isFull = true
  expect((await restore(running, bytes)).status).toBe(500)
  isFull = false
  const { sessionId, password } = session.granted
  await using again = await RawSession.connect(running.server.endpoint, { sessionId, password })
  expect(again.sessionId).toBe(sessionId)
  expect(await read(again, '/a')).toBe('now')
  await put(again, '/b', 'x')
  expect((await restore(running, bytes)).status).toBe(200)
})

test('admin restore - a server that is closed meanwhile ends when it is done', async () => {
  await using running = await start()
  await using session = await RawSession.connect(running.server.endpoint)
  for (let i = 0; i < 300; i++) await put(session, `/then-${i}`, 'x'.repeat(1_000))
  const bytes = await snapshotOf(running)
  await put(session, '/now', 'x')
  const answer = restore(running, bytes).catch(() => undefined)
  await session.ended
  await running.server.close()
  await answer
  await using again = await startServer({ dataDir: running.dataDir })
  await using after = await RawSession.connect(again.server.endpoint)
  expect(await read(after, '/then-299')).toBe('x'.repeat(1_000))
  expect(await read(after, '/now')).toBeUndefined()
})

test('admin snapshot and restore - for the superuser, and whoever has all of / by an entry of his own', async () => {
  await using running = await start()
  await using session = await RawSession.connect(running.server.endpoint)
  const ask = async (authorization?: string): Promise<number> => {
    const headers = authorization === undefined ? {} : { authorization }
    return (await command(running, 'snapshot?streaming=false', { headers })).status
  }
  expect(await ask()).toBe(401)
  expect(await ask('kerberos bob')).toBe(401)
  expect(await ask('digest bob:secret and more')).toBe(401)
  expect(await ask('digest super:secret')).toBe(200)
  // `/` is open, and yet.
  expect(await ask('digest bob:secret')).toBe(403)
  expect(await ask('ip')).toBe(403)
  const bob = passwordDigest('bob:secret')
  const lists: (readonly [Acl[], number])[] = [
    [[{ perms: 30, scheme: 'digest', id: bob }], 403],
    [[{ perms: 31, scheme: 'digest', id: bob }], 200],
    [
      [
        { perms: 15, scheme: 'digest', id: bob },
        { perms: 16, scheme: 'ip', id: '127.0.0.1' },
      ],
      403,
    ],
    [
      [
        { perms: 15, scheme: 'digest', id: bob },
        { perms: 16, scheme: 'digest', id: bob },
        { perms: 31, scheme: 'world', id: 'anyone' },
      ],
      200,
    ],
  ]
  for (const [acl, status] of lists.toReversed()) {
    const anyone: Acl = { perms: 31, scheme: 'world', id: 'anyone' }
    expect((await session.call(setAcl, { path: '/', acl: [...acl, anyone], version: -1 })).errorCode).toBe(0)
    expect(await ask('digest bob:secret')).toBe(status)
    expect(await ask('digest bob:wrong')).toBe(403)
  }
})

test('admin snapshot and restore - by one method each, not often, and not where they are turned off', async () => {
  await using running = await start({ rateLimitMs: 60_000, restoreEnabled: false })
  expect((await command(running, 'snapshot', { method: 'POST', headers: SUPER })).status).toBe(405)
  expect((await command(running, 'snapshot', { method: 'HEAD', headers: SUPER })).status).toBe(405)
  expect((await command(running, 'restore', { headers: SUPER })).status).toBe(405)
  const disabled = await restore(running, Buffer.from('x'))
  expect(disabled.status).toBe(503)
  expect(await disabled.json()).toEqual({ command: 'restore', error: 'the command is disabled' })
  expect((await command(running, 'snapshot', { headers: SUPER })).status).toBe(200)
  expect((await command(running, 'snapshot', { headers: SUPER })).status).toBe(429)
})

test('admin snapshot - taken while the tree changes, it can be restored: all up to its zxid, and nothing after', async () => {
  await using running = await start()
  await using session = await RawSession.connect(running.server.endpoint)
  for (let i = 0; i < 300; i++) await put(session, `/znode-${i}`, 'x'.repeat(1_000))
  let isDone = false
  const writing = (async () => {
    for (let i = 0; !isDone; i++) {
      const data = Buffer.from(String(i))
      // Two that always change together, far from each other in the file.
      await Promise.all(
        ['/znode-0', '/znode-299'].map(path => session.call(setData, { path, data, version: -1 })),
      )
    }
  })()
  const response = await command(running, 'snapshot', { headers: SUPER })
  const bytes = Buffer.from(await response.arrayBuffer())
  isDone = true
  await writing
  const zxid = Number(response.headers.get('last_zxid'))
  const then = await running.server.treeAt(zxid)
  expect((await restore(running, bytes)).status).toBe(200)
  await using after = await RawSession.connect(running.server.endpoint)
  for (const path of ['/znode-0', '/znode-299']) {
    expect(await read(after, path)).toBe(then.get(path)?.data?.toString())
  }
})
