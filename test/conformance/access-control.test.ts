import {
  CREATOR_ALL_ACL,
  InvalidAclError,
  NoAuthError,
  Permission,
  READ_ACL,
  type Acl,
} from '@conclave/client'
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { describeEachEngine } from '../support/engines.ts'

/** The id under which the digest scheme knows a user: `user:base64(sha1(user:password))`. */
function digestId(user: string, password: string): string {
  return `${user}:${createHash('sha1').update(`${user}:${password}`).digest('base64')}`
}

const alice = { scheme: 'digest', auth: 'alice:secret' }

describeEachEngine('access control', fixture => {
  test('world - what is not permitted to anyone is refused to everybody', async () => {
    const zk = await fixture.connect()
    await zk.create('/a', 'x', { acl: READ_ACL })
    expect((await zk.getData('/a')).data?.toString()).toBe('x')
    await expect(zk.setData('/a', 'y')).rejects.toThrow(NoAuthError)
    await expect(zk.create('/a/b')).rejects.toThrow(NoAuthError)
    expect((await zk.getChildren('/a')).children).toEqual([])
  })

  test('world - delete asks for the permission of the parent, not for that of the znode', async () => {
    const zk = await fixture.connect()
    const writeOnly: readonly Acl[] = [{ scheme: 'world', id: 'anyone', perms: Permission.write }]
    await zk.create('/a', 'x', { acl: writeOnly })
    await expect(zk.getData('/a')).rejects.toThrow(NoAuthError)
    await expect(zk.getChildren('/a')).rejects.toThrow(NoAuthError)
    await zk.setData('/a', 'yes')
    await zk.delete('/a')
    await zk.create('/kept', null, {
      acl: [{ scheme: 'world', id: 'anyone', perms: Permission.all & ~Permission.delete }],
    })
    await zk.create('/kept/b')
    await expect(zk.delete('/kept/b')).rejects.toThrow(NoAuthError)
  })

  test('digest - only who knows the password comes in, whichever session it is', async () => {
    const owner = await fixture.connect({ auth: [alice] })
    await owner.create('/a', 'private', { acl: CREATOR_ALL_ACL })
    expect((await owner.getData('/a')).data?.toString()).toBe('private')
    const stranger = await fixture.connect()
    await expect(stranger.getData('/a')).rejects.toThrow(NoAuthError)
    const impostor = await fixture.connect({ auth: [{ scheme: 'digest', auth: 'alice:guess' }] })
    await expect(impostor.getData('/a')).rejects.toThrow(NoAuthError)
    const again = await fixture.connect({ auth: [{ scheme: 'digest', auth: 'bob:b' }, alice] })
    expect((await again.getData('/a')).data?.toString()).toBe('private')
  })

  test('digest - an ACL can name somebody who never connected', async () => {
    const zk = await fixture.connect()
    await zk.create('/a', 'x', {
      acl: [{ scheme: 'digest', id: digestId('alice', 'secret'), perms: Permission.read }],
    })
    await expect(zk.getData('/a')).rejects.toThrow(NoAuthError)
    const reader = await fixture.connect({ auth: [alice] })
    expect((await reader.getData('/a')).data?.toString()).toBe('x')
    await expect(reader.setData('/a', 'y')).rejects.toThrow(NoAuthError)
  })

  test('ip - the address of the client counts, alone or as a network', async () => {
    const zk = await fixture.connect()
    const acl = (id: string): readonly Acl[] => [{ scheme: 'ip', id, perms: Permission.all }]
    await zk.create('/mine', 'x', { acl: acl('127.0.0.1') })
    await zk.create('/near', 'x', { acl: acl('127.0.0.0/8') })
    await zk.create('/far', 'x', { acl: acl('10.0.0.0/8') })
    expect((await zk.getData('/mine')).data?.toString()).toBe('x')
    expect((await zk.getData('/near')).data?.toString()).toBe('x')
    await expect(zk.getData('/far')).rejects.toThrow(NoAuthError)
  })

  test.for<{ what: string; acl: readonly Acl[] }>([
    { what: 'an empty one', acl: [] },
    { what: 'an unknown scheme', acl: [{ scheme: 'nonsense', id: 'x', perms: Permission.all }] },
    { what: 'a digest without a password', acl: [{ scheme: 'digest', id: 'alice', perms: Permission.all }] },
    { what: 'an address that is none', acl: [{ scheme: 'ip', id: 'here', perms: Permission.all }] },
    { what: 'creator without an identity', acl: CREATOR_ALL_ACL },
    { what: 'a world that is not anyone', acl: [{ scheme: 'world', id: 'someone', perms: Permission.all }] },
  ])('ACL - $what is refused', async ({ acl }) => {
    const zk = await fixture.connect()
    await expect(zk.create('/a', null, { acl })).rejects.toThrow(InvalidAclError)
    expect(await zk.exists('/a')).toBeNull()
  })

  test('multi - one operation that is not permitted refuses the whole transaction', async () => {
    const zk = await fixture.connect()
    await zk.create('/a', null, { acl: READ_ACL })
    const failing = zk.multi([
      { op: 'create', path: '/b' },
      { op: 'setData', path: '/a', data: 'x' },
    ])
    await expect(failing).rejects.toMatchObject({ code: 'NO_AUTH', index: 1 })
    expect(await zk.exists('/b')).toBeNull()
  })
})
