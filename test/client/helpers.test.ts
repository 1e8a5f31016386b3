import { createHash } from 'node:crypto'
import { CREATOR_ALL_ACL, MultiError, NoNodeError, Permission } from '@conclave/client'
import { expect, test } from 'vitest'
import { describeEachEngine } from '../support/engines.ts'

describeEachEngine('helpers of the client', fixture => {
  test('walk - gives each znode once, each before those below it', async () => {
    const zk = await fixture.connect()
    for (let i = 0; i < 60; i++) await zk.ensurePath(`/w/${i % 6}/${i}`)
    const seen = new Set<string>()
    for await (const { path } of zk.walk('/w')) {
      expect(path === '/w' || seen.has(path.slice(0, path.lastIndexOf('/')))).toBe(true)
      expect(seen.has(path)).toBe(false)
      seen.add(path)
    }
    expect(seen.size).toBe(1 + 6 + 60)
    expect(await zk.getAllChildrenNumber('/w')).toBe(66)
  })

  test('deleteRecursive - takes a large tree in few transactions, also while others grow and prune it', async () => {
    const [zk, other] = [await fixture.connect(), await fixture.connect()]
    await zk.create('/tree')
    for (let branch = 0; branch < 8; branch++) {
      await zk.create(`/tree/${branch}`)
      await Promise.all(Array.from({ length: 100 }, (_, i) => zk.create(`/tree/${branch}/${i}`)))
    }
    const growing = other.create('/tree/3/late').catch((error: unknown) => {
      if (!(error instanceof NoNodeError)) throw error
    })
    await Promise.all([zk.deleteRecursive('/tree'), other.deleteRecursive('/tree/5'), growing])
    expect(await zk.exists('/tree')).toBeNull()
    expect(zk.metrics.operations['multi']!.answered).toBeLessThan(30)
  })

  test('createProtected - carries a name of its own, and the sequence number behind it', async () => {
    const zk = await fixture.connect()
    await zk.create('/queue')
    const made = await Promise.all(
      Array.from({ length: 5 }, () =>
        zk.createProtected('/queue/item-', 'x', { mode: 'ephemeralSequential' }),
      ),
    )
    const { children } = await zk.getChildren('/queue')
    expect(new Set(children)).toEqual(new Set(made.map(({ path }) => path.slice('/queue/'.length))))
    for (const name of children) expect(name).toMatch(/^_c_[0-9a-f-]{36}-item-\d{10}$/)
  })

  test('read levels - each sees what another session wrote before', async () => {
    const [zk, other] = [await fixture.connect(), await fixture.connect()]
    await zk.create('/a', '0')
    for (const level of ['fresh', 'linearizable'] as const) {
      await other.setData('/a', level)
      expect((await zk.getData('/a', { level })).data?.toString()).toBe(level)
      expect((await zk.getChildren('/', { level })).children).toEqual(['a'])
      expect(await zk.exists('/none', { level })).toBeNull()
    }
  })

  test('retryWrites - a server that is killed and comes back costs no write that may be done twice', async () => {
    const zk = await fixture.connect({ retryWrites: true })
    await zk.create('/a')
    const writes = Array.from({ length: 200 }, (_, i) => zk.setData('/a', `${i}`))
    await fixture.server.kill()
    await fixture.server.restart()
    await Promise.all(writes)
    expect((await zk.getData('/a')).data?.toString()).toBe('199')
  })

  test('multi - names the operation that failed, and nothing of it was done', async () => {
    const zk = await fixture.connect()
    const failing = zk.multi([
      { op: 'create', path: '/a' },
      { op: 'check', path: '/missing', expectedVersion: 0 },
      { op: 'delete', path: '/a' },
    ])
    await expect(failing).rejects.toBeInstanceOf(MultiError)
    await expect(failing).rejects.toMatchObject({ code: 'NO_NODE', index: 1 })
    expect(await zk.exists('/a')).toBeNull()
  })

  test('pipelining - a thousand requests at once are answered in order, each with its own bytes', async () => {
    const zk = await fixture.connect()
    const values = Array.from({ length: 1_000 }, (_, i) => createHash('sha512').update(`${i}`).digest('hex'))
    const settled: number[] = []
    await Promise.all(
      values.map(async (value, i) => {
        await zk.create(`/n${i}`, value)
        settled.push(i)
      }),
    )
    expect(settled).toEqual(values.map((_, i) => i))
    const read = await Promise.all(values.map((_, i) => zk.getData(`/n${i}`)))
    expect(read.map(({ data }) => data?.toString())).toEqual(values)
  })

  test('a znode that may not be read - is there for ensurePath, and can be watched', async () => {
    const [owner, other] = [await fixture.connect(), await fixture.connect()]
    await owner.addAuth('digest', 'bob:secret')
    const acl = [...CREATOR_ALL_ACL, { perms: Permission.create, scheme: 'world', id: 'anyone' }]
    await owner.create('/drop', null, { acl })
    await other.ensurePath('/drop')
    await other.ensurePath('/drop/a/b')
    expect(await owner.exists('/drop/a/b')).not.toBeNull()
    for (const recursive of [false, true]) {
      const watch = await other.watch('/drop', { recursive })
      await watch.close()
    }
  })
})
