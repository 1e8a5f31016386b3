import { OPEN_ACL, Permission, READ_ACL, type Acl } from '@conclave/protocol'
import { expect, test } from 'vitest'
import { isAllowed, passwordDigest, resolveAcl, type Identity } from '../../src/state/access.ts'

const INVALID = -114
const local: Identity = { scheme: 'ip', id: '127.0.0.1' }
const bob: Identity = { scheme: 'digest', id: passwordDigest('bob:secret') }
const acl = (scheme: string, id: string, perms: number = Permission.all): Acl[] => [{ perms, scheme, id }]

test('access - a password stands in lists as ZooKeeper has it', () => {
  // From the programmer's guide of Apache ZooKeeper: the superuser's digest for super:admin begins so.
  expect(passwordDigest('super:admin')).toBe('super:xQJmxLMiHGwaqBvst5y6rkB6HQs=')
})

test.each([
  ['everybody', OPEN_ACL, Permission.write, [], true],
  ['everybody, to read', READ_ACL, Permission.read, [], true],
  ['everybody, to write what may be read', READ_ACL, Permission.write, [], false],
  ['nobody in particular', acl('digest', bob.id), Permission.read, [local], false],
  ['the one who is named', acl('digest', bob.id), Permission.read, [local, bob], true],
  ['another password', acl('digest', passwordDigest('bob:guess')), Permission.read, [local, bob], false],
  ['an address', acl('ip', '127.0.0.1'), Permission.read, [local], true],
  ['a network', acl('ip', '127.0.0.0/8'), Permission.read, [local], true],
  ['the whole of IPv4', acl('ip', '0.0.0.0/0'), Permission.read, [local], true],
  ['another network', acl('ip', '10.0.0.0/8'), Permission.read, [local], false],
  ['IPv6', acl('ip', '::1/64'), Permission.read, [{ scheme: 'ip', id: '::2' }], true],
  ['IPv6 elsewhere', acl('ip', '::1/64'), Permission.read, [{ scheme: 'ip', id: 'fe80::2' }], false],
  ['the superuser', acl('digest', 'x:y'), Permission.admin, [{ scheme: 'super', id: '' }], true],
  ['IPv4 in a network of IPv6', acl('ip', '::/0'), Permission.read, [local], false],
  ['IPv4 in its own part of IPv6', acl('ip', '::ffff:0:0/96'), Permission.read, [local], false],
  ['any of several entries', [...READ_ACL, ...acl('ip', '127.0.0.1', 2)], Permission.write, [local], true],
] as const)('access - of %s', (_, list, permission, identities, allowed) => {
  expect(isAllowed(list, permission, identities)).toBe(allowed)
})

test.each([
  ['an empty list', []],
  ['an unknown scheme', acl('kerberos5', 'x')],
  ['a digest without a colon', acl('digest', 'bob')],
  ['a digest with too many', acl('digest', 'bob:x:y')],
  ['no address', acl('ip', 'localhost')],
  ['a network of 33 bits', acl('ip', '10.0.0.0/33')],
  ['a network without bits', acl('ip', '10.0.0.0/')],
  ['world, but not anyone', acl('world', 'me')],
  ['auth of somebody without identity', acl('auth', '')],
])('access list - %s is refused', (_, list) => {
  expect(resolveAcl(list, [local])).toBe(INVALID)
})

test('access list - auth becomes an entry for each identity that was proven, and repetitions go', () => {
  const eve: Identity = { scheme: 'digest', id: passwordDigest('eve:x') }
  const list = [...acl('auth', 'anything', 3), ...READ_ACL, ...READ_ACL]
  expect(resolveAcl(list, [local, bob, eve])).toEqual([
    { perms: 3, ...bob },
    { perms: 3, ...eve },
    ...READ_ACL,
  ])
})
