import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  BadVersionError,
  closeSession,
  exportTree,
  importTree,
  CREATOR_ALL_ACL,
  MultiError,
  NoAuthError,
  NodeExistsError,
  NoNodeError,
  NotEmptyError,
  NoWatcherError,
  Permission,
  protectedName,
  READ_ACL,
  ZooKeeper,
} from '@conclave/client'
import { EmbeddedServer } from '@conclave/server'
import { FaultProxy, temporaryFolder, type TemporaryFolder } from '@conclave/testing'

let folder: TemporaryFolder
let server: EmbeddedServer
let zk: ZooKeeper

beforeAll(async () => {
  folder = temporaryFolder()
  server = await EmbeddedServer.start({ dataDir: folder.path, port: 0, tickTimeMs: 200 })
  zk = await ZooKeeper.connect(server.connectString, { sessionTimeoutMs: 4_000 })
})

beforeEach(() => zk.deleteRecursive('/'))

afterAll(async () => {
  await zk.close()
  await server.close()
  await folder.remove()
})

describe('operations', () => {
  test('data - bytes, text, nothing and empty come back as they went in', async () => {
    for (const [data, expected] of [
      [Buffer.from([0, 255]), '00ff'],
      ['ü', 'c3bc'],
      ['', ''],
      [null, null],
    ] as const) {
      await zk.create('/a', data)
      expect((await zk.getData('/a')).data?.toString('hex') ?? null).toBe(expected)
      await zk.delete('/a')
    }
  })

  test('arguments - what only JavaScript lets through is refused, and costs no other request anything', async () => {
    const wrong = zk as unknown as Record<
      'create' | 'getData' | 'multi' | 'addAuth',
      (...args: unknown[]) => unknown
    >
    const calls: (readonly [unknown, string])[] = [
      [wrong.create('/a', 5), 'create /a: data must be bytes, a string or null'],
      [wrong.create('/a', [1, 2]), 'create /a: data must be bytes, a string or null'],
      [wrong.create('/a', null, { mode: 'permanent' }), 'there is no mode permanent'],
      [wrong.create('/a', null, { acl: 5 }), 'create /a: '],
      [wrong.getData(5), 'getData 5: a path must be a string'],
      [wrong.getData('/', { watch: true }), 'watch is the function to call'],
      [wrong.multi([{ op: 'create', path: '/a', mode: 'permanent' }]), 'there is no mode permanent'],
      [wrong.addAuth('digest'), 'an identity has a scheme'],
      [zk.create('/a', 'right'), ''],
    ]
    const outcomes = await Promise.allSettled(calls.map(([call]) => call))
    const told = outcomes.map(outcome => (outcome.status === 'rejected' ? String(outcome.reason) : ''))
    expect(told).toEqual(calls.map(([, message]) => expect.stringContaining(message)))
    expect((await zk.getData('/a')).data?.toString()).toBe('right')
    expect((await zk.getChildren('/')).children.toSorted()).toEqual(['a', 'zookeeper'])
  })

  test('data - what was read stays as it was, whatever is read afterwards', async () => {
    await zk.create('/a', 'first')
    const { data } = await zk.getData('/a')
    await zk.setData('/a', 'other')
    await Promise.all(Array.from({ length: 100 }, () => zk.getData('/a')))
    expect(data?.toString()).toBe('first')
  })

  test('versions - a write with another version than the present is refused', async () => {
    const { stat } = await zk.create('/a', '0')
    const next = await zk.setData('/a', '1', { expectedVersion: stat.version })
    expect(next.version).toBe(1)
    await expect(zk.setData('/a', '2', { expectedVersion: 0 })).rejects.toBeInstanceOf(BadVersionError)
    await expect(zk.delete('/a', { expectedVersion: 0 })).rejects.toBeInstanceOf(BadVersionError)
    await zk.delete('/a', { expectedVersion: 1 })
    expect(await zk.exists('/a')).toBeNull()
  })

  test('refusals - each is an error of its kind with the path of the caller', async () => {
    await zk.create('/a/'.slice(0, 2))
    await expect(zk.create('/a')).rejects.toMatchObject({
      code: 'NODE_EXISTS',
      path: '/a',
      operation: 'create',
    })
    await zk.create('/a/b')
    await expect(zk.delete('/a')).rejects.toBeInstanceOf(NotEmptyError)
    await expect(zk.create('/x/y')).rejects.toBeInstanceOf(NoNodeError)
    await expect(zk.create('/a/b')).rejects.toBeInstanceOf(NodeExistsError)
    await expect(zk.getData('/nothing')).rejects.toMatchObject({ code: 'NO_NODE', outcome: 'not-applied' })
  })

  test('modes - sequential znodes are numbered, containers and TTL znodes are made', async () => {
    await zk.create('/q')
    const paths = await Promise.all(
      Array.from(
        { length: 3 },
        async () => (await zk.create('/q/n-', null, { mode: 'ephemeralSequential' })).path,
      ),
    )
    expect(paths).toEqual(['/q/n-0000000000', '/q/n-0000000001', '/q/n-0000000002'])
    expect((await zk.exists(paths[0]!))!.ephemeralOwner).toBe(zk.session.sessionId)
    await zk.create('/container', null, { mode: 'container' })
    await zk.create('/ttl', null, { mode: 'persistentWithTtl', ttlMs: 60_000 })
    await expect(zk.create('/t', null, { mode: 'persistentWithTtl' })).rejects.toMatchObject({
      code: 'USAGE',
    })
    await expect(zk.create('/t', null, { ttlMs: 5 })).rejects.toMatchObject({ code: 'USAGE' })
  })

  test('multi - all or nothing, and it says which operation failed and why', async () => {
    const results = await zk.multi([
      { op: 'create', path: '/m', data: 'x' },
      { op: 'setData', path: '/m', data: 'y', expectedVersion: 0 },
      { op: 'check', path: '/m', expectedVersion: 1 },
      { op: 'create', path: '/m/s-', mode: 'persistentSequential' },
    ])
    expect(results).toMatchObject([
      { op: 'create', path: '/m' },
      { op: 'setData', stat: { version: 1 } },
      { op: 'check' },
      { op: 'create', path: '/m/s-0000000000' },
    ])
    const failing = zk.multi([
      { op: 'delete', path: '/m/s-0000000000' },
      { op: 'check', path: '/m', expectedVersion: 9 },
      { op: 'delete', path: '/m' },
    ])
    await expect(failing).rejects.toBeInstanceOf(MultiError)
    await expect(failing).rejects.toMatchObject({ code: 'BAD_VERSION', index: 1, errorCodes: [0, -103, -2] })
    expect(await zk.exists('/m/s-0000000000')).not.toBeNull()
    expect(await zk.multi([])).toEqual([])
  })

  test('chroot - every path is below it, in requests, results and events', async () => {
    await zk.create('/app')
    const inner = await ZooKeeper.connect(`${server.connectString}/app`, { chroot: '/part' })
    await expect(inner.create('/a')).rejects.toBeInstanceOf(NoNodeError)
    await zk.create('/app/part')
    const events: string[] = []
    await inner.exists('/a', { watch: ({ path }) => events.push(path) })
    expect((await inner.create('/a', 'x')).path).toBe('/a')
    expect((await zk.getData('/app/part/a')).data?.toString()).toBe('x')
    expect((await inner.getChildren('/')).children).toEqual(['a'])
    expect(await inner.multi([{ op: 'create', path: '/b' }])).toEqual([{ op: 'create', path: '/b' }])
    expect(events).toEqual(['/a'])
    await inner.close()
  })
})

describe('more operations', () => {
  test('multiRead - each read has its own result', async () => {
    await zk.create('/a', 'x')
    const results = await zk.multiRead([
      { op: 'getData', path: '/a' },
      { op: 'getChildren', path: '/a' },
      { op: 'getData', path: '/none' },
    ])
    expect(results).toMatchObject([
      { op: 'getData', data: Buffer.from('x') },
      { op: 'getChildren', children: [] },
      { op: 'error', error: { code: 'NO_NODE' } },
    ])
  })

  test('access - an ACL is read, replaced and enforced, and identities can be added', async () => {
    const alice = await ZooKeeper.connect(server.connectString, {
      auth: [{ scheme: 'digest', auth: 'alice:1' }],
    })
    await alice.create('/private', 'x', { acl: CREATOR_ALL_ACL })
    await expect(zk.getData('/private')).rejects.toBeInstanceOf(NoAuthError)
    const { acl, stat } = await alice.getAcl('/private')
    expect(acl).toMatchObject([
      { perms: Permission.all, scheme: 'digest', id: expect.stringMatching(/^alice:/) },
    ])
    const next = await alice.setAcl('/private', [...acl, ...READ_ACL], { expectedVersion: stat.aversion })
    expect(next.aversion).toBe(stat.aversion + 1)
    expect((await zk.getData('/private')).data?.toString()).toBe('x')
    await alice.addAuth('digest', 'also:2')
    const identities = (await alice.whoAmI()).map(({ authScheme, user }) => `${authScheme} ${user}`)
    expect(identities).toEqual(expect.arrayContaining(['digest alice', 'digest also']))
    await alice.close()
  })

  test('counting - ephemerals of the session, and znodes of a subtree', async () => {
    const inner = await ZooKeeper.connect(`${server.connectString}/app`)
    await inner.ensurePath('/a/b')
    await inner.create('/a/e', null, { mode: 'ephemeral' })
    expect(await inner.getEphemerals()).toEqual(['/a/e'])
    expect(await inner.getEphemerals('/none')).toEqual([])
    expect(await inner.getAllChildrenNumber('/')).toBe(3)
    await inner.close()
  })

  test('watches - they can be checked and taken back', async () => {
    await zk.create('/a')
    const events: unknown[] = []
    await zk.getData('/a', { watch: event => events.push(event) })
    await zk.checkWatches('/a', 'data')
    await expect(zk.checkWatches('/a', 'children')).rejects.toBeInstanceOf(NoWatcherError)
    await zk.removeWatches('/a', 'any')
    await expect(zk.removeWatches('/a', 'any')).rejects.toBeInstanceOf(NoWatcherError)
    await zk.setData('/a', 'x')
    await zk.sync()
    expect(events).toEqual([])
  })

  test('configuration - a standalone server has nothing to read and none to change', async () => {
    const { data } = await zk.getConfig({ watch: () => {} })
    expect(data?.length ?? 0).toBe(0)
    await zk.removeWatches('/zookeeper/config', 'any')
    await expect(zk.reconfig({ leavingServers: '1' })).rejects.toMatchObject({ outcome: 'not-applied' })
  })
})

describe('read levels', () => {
  test.each(['session', 'fresh', 'linearizable'] as const)(
    '%s - reads what was written before',
    async level => {
      const other = await ZooKeeper.connect(server.connectString)
      for (let i = 0; i < 20; i++) {
        await other.ensurePath('/a')
        await other.setData('/a', String(i))
        expect((await zk.getData('/a', { level })).data?.toString()).toBe(String(i))
      }
      await expect(zk.getData('/none', { level })).rejects.toBeInstanceOf(NoNodeError)
      expect(await zk.exists('/none', { level })).toBeNull()
      await other.close()
    },
  )
})

describe('observability', () => {
  test('metrics - answers, refusals and latencies are counted by operation', async () => {
    const client = await ZooKeeper.connect(server.connectString)
    for (let i = 0; i < 3; i++) await client.exists('/')
    await expect(client.getData('/none')).rejects.toBeInstanceOf(NoNodeError)
    const { operations, connections, pending } = client.metrics
    expect([connections, pending]).toEqual([1, 0])
    expect(operations).toMatchObject({
      exists: { answered: 3, refused: 0 },
      getData: { answered: 1, refused: 1 },
    })
    expect(operations['exists']!.latencies.reduce((sum, count) => sum + count)).toBe(3)
    await client.close()
  })

  test('channels - each request and change of state is published while somebody listens', async () => {
    const messages: unknown[] = []
    const listen = (message: unknown): void => void messages.push(message)
    subscribe('conclave:client:request', listen)
    subscribe('conclave:client:state', listen)
    const client = await ZooKeeper.connect(server.connectString)
    await client.exists('/')
    await expect(client.getData('/none')).rejects.toBeInstanceOf(NoNodeError)
    unsubscribe('conclave:client:request', listen)
    unsubscribe('conclave:client:state', listen)
    await client.exists('/')
    await client.close()
    expect(messages).toMatchObject([
      { change: { state: 'connected', isNewSession: true } },
      { operation: 'exists', path: '/', error: undefined, durationMs: expect.any(Number) },
      { operation: 'getData', path: '/none', error: { code: 'NO_NODE' } },
    ])
  })
})

describe('helpers', () => {
  test('ensurePath - it makes what is missing and minds nothing that is there', async () => {
    await Promise.all([zk.ensurePath('/a/b/c'), zk.ensurePath('/a/b/d'), zk.ensurePath('/a/b/c')])
    expect([...(await zk.getChildren('/a/b')).children].sort()).toEqual(['c', 'd'])
    await zk.ensurePath('/')
  })

  test('deleteRecursive - it takes a few transactions, each far below the limit of a request', async () => {
    await zk.create('/wide')
    const paths = Array.from({ length: 1_000 }, (_, i) => `/wide/${String(i).padStart(500, '0')}`)
    await Promise.all(paths.map(path => zk.create(path)))
    const answered = (operation: string): number => zk.metrics.operations[operation]?.answered ?? 0
    const before = [answered('multi'), answered('delete')]
    await zk.deleteRecursive('/wide')
    expect(await zk.exists('/wide')).toBeNull()
    expect([answered('multi'), answered('delete')]).toEqual([before[0]! + 8, before[1]])
  })

  test('deleteRecursive - it removes a tree, also one that others are pulling at', async () => {
    for (let i = 0; i < 5; i++) await zk.ensurePath(`/tree/${i}/x/y`)
    await Promise.all([zk.deleteRecursive('/tree'), zk.deleteRecursive('/tree/3')])
    expect(await zk.exists('/tree')).toBeNull()
    await zk.deleteRecursive('/tree')
  })

  test('walk - each znode comes before those below it, and what is not there does not come', async () => {
    for (let i = 0; i < 150; i++) await zk.ensurePath(`/w/${i % 15}/${i}`)
    const seen = new Set<string>()
    for await (const { path, stat, children } of zk.walk('/w')) {
      expect(path === '/w' || seen.has(path.slice(0, path.lastIndexOf('/')))).toBe(true)
      expect(children).toHaveLength(stat.numChildren)
      seen.add(path)
    }
    expect(seen.size).toBe(1 + 15 + 150)
    for await (const { path } of zk.walk('/none')) expect.unreachable(path)
  })

  test('export and import - a subtree arrives elsewhere with its data and ACLs, without what belongs to a session', async () => {
    await zk.ensurePath('/from/b')
    await zk.create('/from/a', Buffer.from([0, 255]), { acl: READ_ACL })
    await zk.create('/from/b/ü', '')
    await zk.create('/from/e', null, { mode: 'ephemeral' })
    const lines: string[] = []
    for await (const line of exportTree(zk, '/from')) lines.push(line)
    const bytes = Buffer.from(lines.join(''))
    // Cut anywhere, also within a character.
    const chunks = async function* (): AsyncGenerator<Buffer> {
      for (let at = 0; at < bytes.length; at += 7) yield bytes.subarray(at, at + 7)
    }
    expect(await importTree(zk, '/to', chunks())).toEqual({ created: 4, existing: 0 })
    expect((await zk.getData('/to/a')).data).toEqual(Buffer.from([0, 255]))
    expect((await zk.getAcl('/to/a')).acl).toEqual(READ_ACL)
    expect((await zk.getData('/to/b')).data).toBeNull()
    expect((await zk.getData('/to/b/ü')).data).toEqual(Buffer.alloc(0))
    await expect(importTree(zk, '/to', chunks())).rejects.toBeInstanceOf(NodeExistsError)
    await zk.setData('/to/b', 'mine')
    expect(await importTree(zk, '/to', chunks(), { existing: 'keep' })).toEqual({ created: 0, existing: 4 })
    expect((await zk.getData('/to/b')).data?.toString()).toBe('mine')
  })

  test('import - a line that is none is named by its number', async () => {
    const text = async function* (): AsyncGenerator<string> {
      yield '{"path":"/","data":null,"acl":[{"perms":31,"scheme":"world","id":"anyone"}]}\n{"path":1}\n'
    }
    await expect(importTree(zk, '/to', text())).rejects.toThrow('line 2 is not a znode')
  })

  test('createProtected - a lost answer is made good by the znode that is there, and there is only one', async () => {
    const proxy = await FaultProxy.start(server.endpoint)
    const through = await ZooKeeper.connect(proxy.connectString, { sessionTimeoutMs: 4_000 })
    await zk.create('/p')
    // The create reaches the server; its answer does not come back.
    proxy.cutAfter('toClient', 10)
    const creating = through.createProtected('/p/lock-', 'me')
    const { path, stat } = await creating
    expect(stat.ephemeralOwner).toBe(through.session.sessionId)
    expect((await zk.getChildren('/p')).children).toEqual([path.slice('/p/'.length)])
    expect(path).toMatch(/^\/p\/_c_[0-9a-f-]{36}-lock-\d{10}$/)
    await through.close()
    await proxy.close()
  })

  test('createProtected - its name is the one that Curator gives', () => {
    expect(protectedName('guid', 'lock-')).toBe('_c_guid-lock-')
  })

  test('closeSession - the ephemeral znodes of a session go with it, at once', async () => {
    const other = await ZooKeeper.connect(server.connectString, {
      sessionTimeoutMs: 4_000,
      renewSession: false,
    })
    await other.create('/e', null, { mode: 'ephemeral' })
    const deleted = new Promise<string>(resolve => {
      void zk.exists('/e', { watch: ({ type }) => resolve(type) })
    })
    const { session } = other
    await other.detach()
    expect(await zk.exists('/e')).not.toBeNull()
    expect(await closeSession(server.connectString, session)).toBe(true)
    expect(await deleted).toBe('nodeDeleted')
    expect(await closeSession(server.connectString, session)).toBe(false)
  })
})
