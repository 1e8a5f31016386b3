import { BadVersionError, MultiError, NodeExistsError, NoNodeError } from '@conclave/client'
import { expect, test } from 'vitest'
import { describeEachEngine } from '../support/engines.ts'

/** The codes of `MultiError.errorCodes`. */
const OK = 0
const NOT_TRIED = -2
const NO_NODE = -101
const BAD_VERSION = -103
const NODE_EXISTS = -110

describeEachEngine('multi', fixture => {
  test('multi - applies all operations in one transaction, each seeing those before', async () => {
    const zk = await fixture.connect()
    await zk.create('/old')
    const results = await zk.multi([
      { op: 'check', path: '/old', expectedVersion: 0 },
      { op: 'create', path: '/a', data: 'one' },
      { op: 'create', path: '/a/b-', mode: 'persistentSequential' },
      { op: 'setData', path: '/a', data: 'two', expectedVersion: 0 },
      { op: 'check', path: '/a', expectedVersion: 1 },
      { op: 'delete', path: '/old' },
    ])
    expect(results.map(({ op }) => op)).toEqual(['check', 'create', 'create', 'setData', 'check', 'delete'])
    expect(results[2]).toEqual({ op: 'create', path: '/a/b-0000000000' })
    const { data, stat } = await zk.getData('/a')
    expect(data?.toString()).toBe('two')
    expect(stat).toMatchObject({ version: 1, numChildren: 1, mzxid: stat.czxid, pzxid: stat.czxid })
    expect(results[3]).toMatchObject({ op: 'setData', stat: { version: 1, mzxid: stat.czxid } })
    expect(await zk.exists('/a/b-0000000000')).toMatchObject({ czxid: stat.czxid })
    expect(await zk.exists('/old')).toBeNull()
    expect((await zk.exists('/'))?.pzxid).toBe(stat.czxid)
  })

  test('multi - applies nothing when one operation fails, and says which and why', async () => {
    const zk = await fixture.connect()
    await zk.create('/a', 'before')
    const before = await zk.getData('/a')
    const failing = zk.multi([
      { op: 'setData', path: '/a', data: 'after' },
      { op: 'create', path: '/b' },
      { op: 'check', path: '/a', expectedVersion: 7 },
      { op: 'delete', path: '/a' },
    ])
    await expect(failing).rejects.toThrow(MultiError)
    await expect(failing).rejects.toMatchObject({
      code: 'BAD_VERSION',
      index: 2,
      errorCodes: [OK, OK, BAD_VERSION, NOT_TRIED],
      outcome: 'not-applied',
      cause: expect.any(BadVersionError) as unknown,
    })
    expect(await zk.getData('/a')).toEqual(before)
    expect(await zk.exists('/b')).toBeNull()
  })

  test.for([
    {
      what: 'a create of what exists',
      ops: [{ op: 'create', path: '/a' } as const],
      errorCodes: [NODE_EXISTS],
      cause: NodeExistsError,
    },
    {
      what: 'a create of what the same transaction makes',
      ops: [{ op: 'create', path: '/n' } as const, { op: 'create', path: '/n' } as const],
      errorCodes: [OK, NODE_EXISTS],
      cause: NodeExistsError,
    },
    {
      what: 'a change of what the same transaction deletes',
      ops: [{ op: 'delete', path: '/a' } as const, { op: 'setData', path: '/a', data: null } as const],
      errorCodes: [OK, NO_NODE],
      cause: NoNodeError,
    },
    {
      what: 'a check of what is not there',
      ops: [{ op: 'check', path: '/none' } as const],
      errorCodes: [NO_NODE],
      cause: NoNodeError,
    },
  ])('multi - fails for $what', async ({ ops, errorCodes, cause }) => {
    const zk = await fixture.connect()
    await zk.create('/a')
    await expect(zk.multi(ops)).rejects.toMatchObject({ errorCodes, cause: expect.any(cause) as unknown })
    expect((await zk.getChildren('/')).children).toEqual(['a'])
  })

  test('multi - a failed one uses up no sequence numbers', async () => {
    const zk = await fixture.connect()
    const create = { op: 'create', path: '/s-', mode: 'persistentSequential' } as const
    await expect(zk.multi([create, create, { op: 'check', path: '/none' }])).rejects.toThrow(MultiError)
    expect(await zk.multi([create, create])).toEqual([
      { op: 'create', path: '/s-0000000000' },
      { op: 'create', path: '/s-0000000001' },
    ])
  })

  test('multi - can be empty', async () => {
    const zk = await fixture.connect()
    expect(await zk.multi([])).toEqual([])
  })

  test('multi - makes ephemerals, containers and znodes with a time to live', async () => {
    const zk = await fixture.connect()
    await zk.multi([
      { op: 'create', path: '/e', mode: 'ephemeral' },
      { op: 'create', path: '/c', mode: 'container' },
      { op: 'create', path: '/t', mode: 'persistentWithTtl', ttlMs: 60_000 },
    ])
    expect(await zk.exists('/e')).toMatchObject({ ephemeralOwner: zk.session.sessionId })
    expect(await zk.exists('/c')).toMatchObject({ ephemeralOwner: 0n })
    expect(await zk.exists('/t')).toMatchObject({ ephemeralOwner: 0n })
    await zk.close()
    const other = await fixture.connect()
    expect([...(await other.getChildren('/')).children].sort()).toEqual(['c', 't'])
  })

  test('multi - each operation fires its own watches', async () => {
    const zk = await fixture.connect()
    await zk.create('/a')
    await zk.create('/b')
    const events: string[] = []
    const watch = (event: { type: string; path: string }): void =>
      void events.push(`${event.type} ${event.path}`)
    await zk.getData('/a', { watch })
    await zk.exists('/b', { watch })
    await zk.exists('/c', { watch })
    await zk.getChildren('/', { watch })
    await zk.multi([
      { op: 'setData', path: '/a', data: 'x' },
      { op: 'delete', path: '/b' },
      { op: 'create', path: '/c' },
    ])
    expect([...events].sort()).toEqual([
      'nodeChildrenChanged /',
      'nodeCreated /c',
      'nodeDataChanged /a',
      'nodeDeleted /b',
    ])
  })
})
