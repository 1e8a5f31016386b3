import {
  BadArgumentsError,
  BadVersionError,
  NoChildrenForEphemeralsError,
  NodeExistsError,
  NoNodeError,
  NotEmptyError,
  type Stat,
} from '@conclave/client'
import { expect, test } from 'vitest'
import { describeEachEngine } from '../support/engines.ts'

describeEachEngine('znodes', fixture => {
  test('create - gives the path and the stat of a new znode', async () => {
    const zk = await fixture.connect()
    const parent = (await zk.exists('/'))!
    const beforeMs = Date.now()
    const { path, stat } = await zk.create('/a', 'data')
    expect(path).toBe('/a')
    expect(stat).toEqual({
      czxid: stat.czxid,
      mzxid: stat.czxid,
      pzxid: stat.czxid,
      ctime: stat.ctime,
      mtime: stat.ctime,
      version: 0,
      cversion: 0,
      aversion: 0,
      ephemeralOwner: 0n,
      dataLength: 4,
      numChildren: 0,
    } satisfies Stat)
    expect(stat.czxid).toBeGreaterThan(parent.czxid)
    // The clocks are the same machine's, but one of them may round.
    expect(stat.ctime).toBeGreaterThanOrEqual(beforeMs - 1)
    expect(await zk.exists('/a')).toEqual(stat)
  })

  test('create - counts in the parent, whose data and versions stay', async () => {
    const zk = await fixture.connect()
    const before = (await zk.exists('/'))!
    const { stat } = await zk.create('/a')
    expect(await zk.exists('/')).toEqual({
      ...before,
      cversion: before.cversion + 1,
      numChildren: before.numChildren + 1,
      pzxid: stat.czxid,
    })
  })

  test('create - refuses what exists and what has no parent', async () => {
    const zk = await fixture.connect()
    await zk.create('/a')
    await expect(zk.create('/a')).rejects.toThrow(NodeExistsError)
    await expect(zk.create('/b/c')).rejects.toThrow(NoNodeError)
    await expect(zk.create('/b/c')).rejects.toMatchObject({
      code: 'NO_NODE',
      path: '/b/c',
      outcome: 'not-applied',
    })
    expect((await zk.getChildren('/')).children).toEqual(['a'])
  })

  test('create - null, empty and other data come back as they were written', async () => {
    const zk = await fixture.connect()
    await zk.create('/null', null)
    expect((await zk.getData('/null')).data).toBeNull()
    const everyByte = Uint8Array.from({ length: 256 }, (_, byte) => byte)
    for (const data of [Buffer.alloc(0), everyByte, Buffer.alloc(1_000_000, 'x')]) {
      await zk.create(`/${data.length}`, data)
      const read = await zk.getData(`/${data.length}`)
      expect(read.stat.dataLength).toBe(data.length)
      expect(read.data?.equals(data)).toBe(true)
    }
  })

  test('create - names may have any character of the first plane but the few that are refused', async () => {
    const zk = await fixture.connect()
    const names = ['ä', '日本', 'a b', '.a', 'a.', '...', '~', '-', 'a:b,c']
    for (const name of names) await zk.create(`/${name}`)
    expect([...(await zk.getChildren('/')).children].sort()).toEqual([...names].sort())
    for (const name of ['🙂', 'a\u0000', '\u001f', '\uf000', '.', '..']) {
      await expect(zk.create(`/${name}`)).rejects.toThrow(BadArgumentsError)
    }
  })

  test('sequential - numbers have ten digits and count every creation below the parent, deleted or not', async () => {
    const zk = await fixture.connect()
    const options = { mode: 'persistentSequential' } as const
    await zk.create('/parent')
    expect((await zk.create('/parent/a-', null, options)).path).toBe('/parent/a-0000000000')
    expect((await zk.create('/parent/b-', null, options)).path).toBe('/parent/b-0000000001')
    await zk.delete('/parent/b-0000000001')
    await zk.create('/parent/plain')
    expect((await zk.create('/parent/', null, options)).path).toBe('/parent/0000000003')
    await expect(zk.create('/nowhere/a-', null, options)).rejects.toThrow(NoNodeError)
  })

  test('ephemeral - belongs to its session and has no children', async () => {
    const zk = await fixture.connect()
    const { stat } = await zk.create('/a', null, { mode: 'ephemeral' })
    expect(stat.ephemeralOwner).toBe(zk.session.sessionId)
    await expect(zk.create('/a/b')).rejects.toThrow(NoChildrenForEphemeralsError)
    const { path } = await zk.create('/s-', null, { mode: 'ephemeralSequential' })
    expect(path).toBe('/s-0000000001')
  })

  test('container and TTL - look like plain znodes', async () => {
    const zk = await fixture.connect()
    const container = await zk.create('/container', 'c', { mode: 'container' })
    const ttl = await zk.create('/ttl', 't', { mode: 'persistentWithTtl', ttlMs: 60_000 })
    const sequential = await zk.create('/s-', null, { mode: 'persistentSequentialWithTtl', ttlMs: 60_000 })
    expect(sequential.path).toBe('/s-0000000002')
    for (const { path, stat } of [container, ttl, sequential]) {
      expect(stat.ephemeralOwner).toBe(0n)
      expect(await zk.exists(path)).toEqual(stat)
    }
    await zk.create('/container/child')
    await zk.create('/ttl/child')
  })

  test('setData - changes the data, its version, mzxid and mtime, and nothing else', async () => {
    const zk = await fixture.connect()
    const { stat: created } = await zk.create('/a', 'one')
    const stat = await zk.setData('/a', 'three')
    expect(stat).toEqual({ ...created, version: 1, mzxid: stat.mzxid, mtime: stat.mtime, dataLength: 5 })
    expect(stat.mzxid).toBeGreaterThan(created.mzxid)
    expect(await zk.getData('/a')).toEqual({ data: Buffer.from('three'), stat })
    expect((await zk.setData('/a', null)).version).toBe(2)
    expect((await zk.getData('/a')).data).toBeNull()
  })

  test('setData - does so only at the version expected', async () => {
    const zk = await fixture.connect()
    await zk.create('/a', 'zero')
    expect((await zk.setData('/a', 'one', { expectedVersion: 0 })).version).toBe(1)
    await expect(zk.setData('/a', 'two', { expectedVersion: 0 })).rejects.toThrow(BadVersionError)
    await expect(zk.setData('/a', 'two', { expectedVersion: 2 })).rejects.toThrow(BadVersionError)
    expect((await zk.getData('/a')).data?.toString()).toBe('one')
    await expect(zk.setData('/b', 'x')).rejects.toThrow(NoNodeError)
  })

  test('delete - removes a znode without children, at the version expected', async () => {
    const zk = await fixture.connect()
    await zk.create('/a')
    await zk.create('/a/b')
    const before = (await zk.exists('/'))!
    await expect(zk.delete('/a')).rejects.toThrow(NotEmptyError)
    await expect(zk.delete('/a/b', { expectedVersion: 1 })).rejects.toThrow(BadVersionError)
    await zk.delete('/a/b', { expectedVersion: 0 })
    const { pzxid } = (await zk.exists('/a'))!
    await zk.delete('/a')
    await expect(zk.delete('/a')).rejects.toThrow(NoNodeError)
    const after = (await zk.exists('/'))!
    expect(after).toEqual({
      ...before,
      cversion: before.cversion + 1,
      numChildren: before.numChildren - 1,
      pzxid: after.pzxid,
    })
    expect(after.pzxid).toBeGreaterThan(pzxid)
  })

  test('delete - refuses the root', async () => {
    const zk = await fixture.connectToRoot()
    await expect(zk.delete('/')).rejects.toThrow(BadArgumentsError)
  })

  test('getChildren - gives the names, in any order, and the stat of the parent', async () => {
    const zk = await fixture.connect()
    const { children, stat } = await zk.getChildren('/')
    expect(children).toEqual([])
    expect(stat).toEqual(await zk.exists('/'))
    for (const name of ['b', 'c', 'a']) await zk.create(`/${name}`)
    const more = await zk.getChildren('/')
    expect([...more.children].sort()).toEqual(['a', 'b', 'c'])
    expect(more.stat).toMatchObject({ numChildren: 3, cversion: stat.cversion + 3 })
    await expect(zk.getChildren('/none')).rejects.toThrow(NoNodeError)
  })

  test('exists - is null where there is nothing', async () => {
    const zk = await fixture.connect()
    expect(await zk.exists('/a')).toBeNull()
    expect(await zk.exists('/a/b/c')).toBeNull()
    await expect(zk.getData('/a')).rejects.toThrow(NoNodeError)
  })

  test('sync - is fine for any path', async () => {
    const zk = await fixture.connect()
    await zk.sync()
    await zk.sync('/not/there')
  })

  test('pipelining - requests are answered in the order in which they were made', async () => {
    const zk = await fixture.connect()
    const { path } = await zk.create('/n')
    const answered: number[] = []
    const writes = Array.from({ length: 200 }, (_, version) =>
      zk.setData(path, `${version}`, { expectedVersion: version }).then(stat => answered.push(stat.version)),
    )
    const read = zk.getData(path)
    await Promise.all(writes)
    expect(answered).toEqual(Array.from({ length: 200 }, (_, index) => index + 1))
    expect((await read).data?.toString()).toBe('199')
  })

  test('ensurePath - makes the chroot as well', async () => {
    const below = await fixture.connect({ chroot: '/not/there' })
    await below.ensurePath('/a')
    expect((await below.getChildren('/')).children).toEqual(['a'])
  })

  test('ensurePath and deleteRecursive - make and remove whole branches, twice as well as once', async () => {
    const zk = await fixture.connect()
    await zk.ensurePath('/a/b/c')
    await zk.ensurePath('/a/b/d')
    expect([...(await zk.getChildren('/a/b')).children].sort()).toEqual(['c', 'd'])
    await zk.deleteRecursive('/a')
    await zk.deleteRecursive('/a')
    expect(await zk.exists('/a')).toBeNull()
  })
})
