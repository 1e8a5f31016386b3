import {
  BadVersionError,
  CREATOR_ALL_ACL,
  InvalidAclError,
  NoAuthError,
  NoNodeError,
  NoWatcherError,
  OPEN_ACL,
  Permission,
  READ_ACL,
  type Acl,
} from '@conclave/client'
import { auth, ErrorCode, getAcl, OpCode } from '@conclave/protocol'
import { RawSession } from '@conclave/testing'
import { expect, test } from 'vitest'
import { describeEachEngine } from '../support/engines.ts'

describeEachEngine('further operations', fixture => {
  test('getAcl and setAcl - replace the list, count its versions, and change nothing else', async () => {
    const zk = await fixture.connect()
    const { stat: created } = await zk.create('/a', 'x')
    expect(await zk.getAcl('/a')).toEqual({ acl: OPEN_ACL, stat: created })
    const readAndAdmin: readonly Acl[] = [
      { scheme: 'world', id: 'anyone', perms: Permission.read | Permission.admin },
      { scheme: 'ip', id: '10.0.0.0/8', perms: Permission.all },
    ]
    const stat = await zk.setAcl('/a', readAndAdmin, { expectedVersion: 0 })
    expect(stat).toEqual({ ...created, aversion: 1 })
    expect(await zk.getAcl('/a')).toEqual({ acl: readAndAdmin, stat })
    await expect(zk.setData('/a', 'y')).rejects.toThrow(NoAuthError)
    await expect(zk.setAcl('/a', OPEN_ACL, { expectedVersion: 0 })).rejects.toThrow(BadVersionError)
    await expect(zk.setAcl('/a', [])).rejects.toThrow(InvalidAclError)
    await expect(zk.getAcl('/none')).rejects.toThrow(NoNodeError)
    await zk.setAcl('/a', READ_ACL)
    await expect(zk.setAcl('/a', OPEN_ACL)).rejects.toThrow(NoAuthError)
  })

  test('addAuth - an identity that is added later counts at once, and makes creator lists possible', async () => {
    const [zk, stranger] = [await fixture.connect(), await fixture.connect()]
    await expect(zk.create('/a', null, { acl: CREATOR_ALL_ACL })).rejects.toThrow(InvalidAclError)
    await zk.addAuth('digest', 'alice:secret')
    await zk.create('/a', null, { acl: CREATOR_ALL_ACL })
    const { acl } = await zk.getAcl('/a')
    expect(acl).toEqual([
      { scheme: 'digest', id: expect.stringMatching(/^alice:.{28}$/) as string, perms: Permission.all },
    ])
    await expect(stranger.getData('/a')).rejects.toThrow(NoAuthError)
    await stranger.addAuth('digest', 'alice:secret')
    expect((await stranger.getData('/a')).data).toBeNull()
  })

  test('whoAmI - lists every identity of the session', async () => {
    const zk = await fixture.connect()
    expect(await zk.whoAmI()).toEqual([{ authScheme: 'ip', user: '127.0.0.1' }])
    await zk.addAuth('digest', 'alice:secret')
    await zk.addAuth('digest', 'bob:secret')
    const identities = (await zk.whoAmI()).map(({ authScheme, user }) => `${authScheme} ${user}`)
    expect([...identities].sort()).toEqual(['digest alice', 'digest bob', 'ip 127.0.0.1'])
  })

  test('getEphemerals - lists those of this session that begin with a text', async () => {
    const [zk, other] = [await fixture.connect(), await fixture.connect()]
    await zk.create('/a')
    for (const path of ['/a/one', '/a/two', '/ab']) await zk.create(path, null, { mode: 'ephemeral' })
    await other.create('/theirs', null, { mode: 'ephemeral' })
    expect([...(await zk.getEphemerals())].sort()).toEqual(['/a/one', '/a/two', '/ab'])
    expect([...(await zk.getEphemerals('/a'))].sort()).toEqual(['/a/one', '/a/two', '/ab'])
    expect([...(await zk.getEphemerals('/a/t'))]).toEqual(['/a/two'])
    expect(await zk.getEphemerals('/none')).toEqual([])
  })

  test('getAllChildrenNumber - counts the whole subtree without its root', async () => {
    const zk = await fixture.connect()
    await zk.ensurePath('/a/b/c')
    await zk.create('/a/d')
    await zk.create('/ab')
    expect(await zk.getAllChildrenNumber('/a')).toBe(3)
    expect(await zk.getAllChildrenNumber('/a/d')).toBe(0)
    await expect(zk.getAllChildrenNumber('/none')).rejects.toThrow(NoNodeError)
  })

  test('multiRead - each read has its own result, and one that fails stops none', async () => {
    const zk = await fixture.connect()
    const { stat } = await zk.create('/a', 'x')
    await zk.create('/secret', 'y', { acl: [{ scheme: 'ip', id: '10.0.0.1', perms: Permission.all }] })
    const results = await zk.multiRead([
      { op: 'getData', path: '/a' },
      { op: 'getData', path: '/none' },
      { op: 'getData', path: '/secret' },
      { op: 'getChildren', path: '/a' },
    ])
    expect(results).toEqual([
      { op: 'getData', data: Buffer.from('x'), stat },
      { op: 'error', error: expect.any(NoNodeError) as unknown },
      { op: 'error', error: expect.any(NoAuthError) as unknown },
      { op: 'getChildren', children: [] },
    ])
    expect(await zk.multiRead([])).toEqual([])
  })

  test('checkWatches and removeWatches - know what kind of watch is left, and take it back', async () => {
    const [zk, other] = [await fixture.connect(), await fixture.connect()]
    await zk.create('/a')
    const events: string[] = []
    await expect(zk.checkWatches('/a', 'any')).rejects.toThrow(NoWatcherError)
    await zk.getData('/a', { watch: ({ type }) => events.push(type) })
    await zk.checkWatches('/a', 'data')
    await zk.checkWatches('/a', 'any')
    await expect(zk.checkWatches('/a', 'children')).rejects.toThrow(NoWatcherError)
    await zk.getChildren('/a', { watch: ({ type }) => events.push(type) })
    await zk.removeWatches('/a', 'data')
    await expect(zk.removeWatches('/a', 'data')).rejects.toThrow(NoWatcherError)
    await other.setData('/a', 'x')
    await other.create('/a/b')
    await zk.sync()
    expect(events).toEqual(['nodeChildrenChanged'])
  })

  test('protocol - an unknown request ends the connection, and the session lives on', async () => {
    const { endpoint } = fixture.server
    await using first = await RawSession.connect(endpoint)
    expect((await first.request(888)).errorCode).toBe(ErrorCode.unimplemented)
    await first.ended
    const { sessionId, password } = first.granted
    await using second = await RawSession.connect(endpoint, { sessionId, password })
    expect(second.sessionId).toBe(sessionId)
  })

  test('protocol - an access list may have no string in place of an empty one, as kazoo writes it', async () => {
    await using session = await RawSession.connect(fixture.server.endpoint)
    await session.call(auth, { type: 0, scheme: 'digest', auth: Buffer.from('bob:secret') })
    const { errorCode } = await session.request(OpCode.create, writer => {
      writer.string('/made-by-kazoo')
      writer.bytes(null)
      writer.int32(1)
      writer.int32(Permission.all)
      writer.string('auth')
      writer.int32(-1)
      writer.int32(0)
    })
    expect(errorCode).toBe(0)
    const { response } = await session.call(getAcl, { path: '/made-by-kazoo' })
    expect(response!.acl).toMatchObject([{ perms: Permission.all, scheme: 'digest' }])
  })

  test('levels - a fresh and a linearizable read see what somebody else was told is done', async () => {
    const [zk, other] = [await fixture.connect(), await fixture.connect()]
    await zk.create('/a', '0')
    for (const level of ['fresh', 'linearizable'] as const) {
      await other.setData('/a', level)
      expect((await zk.getData('/a', { level })).data?.toString()).toBe(level)
    }
  })
})
