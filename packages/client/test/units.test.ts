import { describe, expect, test } from 'vitest'
import { ConclaveError, nodePlatform, UsageError } from '@conclave/core'
import { ErrorCode, EventType, JuteWriter, setWatches } from '@conclave/protocol'
import { parseConnectString, StaticHostProvider, ZooKeeper, type ConnectOptions } from '@conclave/client'
import { Chroot } from '../src/chroot.ts'
import { toHostProvider } from '../src/host-provider.ts'
import { rebalance } from '../src/rebalance.ts'
import { answerChallenge } from '../src/sasl-digest-md5.ts'
import { errorFromCode } from '../src/server-errors.ts'
import { WatchRegistry } from '../src/watch-registry.ts'

describe('connect string', () => {
  test.each([
    ['zk1', [['zk1', 2181]], '/'],
    [
      'zk1:1,zk2:2/app/x',
      [
        ['zk1', 1],
        ['zk2', 2],
      ],
      '/app/x',
    ],
    [
      ' zk1:1 , zk2 ',
      [
        ['zk1', 1],
        ['zk2', 2181],
      ],
      '/',
    ],
    [
      '[::1]:5,[fe80::1],::1',
      [
        ['::1', 5],
        ['fe80::1', 2181],
        ['::1', 2181],
      ],
      '/',
    ],
  ])('parse - %j', (text, servers, chroot) => {
    expect(parseConnectString(text)).toEqual({
      endpoints: servers.map(([host, port]) => ({ host, port })),
      chroot,
    })
  })

  test.each(['', ',', '/app', 'zk1:', 'zk1:x', 'zk1:0', 'zk1:65536', '[::1:5'])(
    'parse - %j is refused',
    text => {
      expect(() => parseConnectString(text)).toThrow(UsageError)
    },
  )
})

describe('host provider', () => {
  const resolve = (
    lookup: (host: string) => Promise<readonly string[]>,
  ): Promise<readonly { host: string }[]> =>
    new StaticHostProvider(
      [
        { host: 'a', port: 1 },
        { host: 'b', port: 2 },
      ],
      { network: { lookup }, random: nodePlatform.random },
    ).resolve()

  test('names - one that cannot be looked up leaves the others', async () => {
    const found = await resolve(host =>
      host === 'a' ? Promise.reject(new Error('no a')) : Promise.resolve(['1', '2']),
    )
    expect(new Set(found.map(({ host }) => host))).toEqual(new Set(['1', '2']))
  })

  test('names - when none can be looked up, that is the error', async () => {
    await expect(resolve(host => Promise.reject(new Error(`no ${host}`)))).rejects.toThrow('no a')
  })

  test('order - it is shuffled', async () => {
    const orders = new Set<string>()
    for (let i = 0; i < 200; i++)
      orders.add((await resolve(host => Promise.resolve([host]))).map(({ host }) => host).join())
    expect(orders).toEqual(new Set(['a,b', 'b,a']))
  })
})

describe('rebalancing', () => {
  const names = (from: number, to: number): string[] =>
    Array.from({ length: to - from + 1 }, (_, i) => `s${from + i}`)

  // What the clients of each server do, and how many are where afterwards.
  test.each([
    ['servers are added', names(1, 3), names(1, 5)],
    ['servers are removed', names(1, 5), names(1, 3)],
    ['some are replaced', names(1, 4), names(3, 6)],
    ['all are replaced', names(1, 3), names(4, 6)],
    ['more are added than removed', names(1, 3), names(3, 7)],
  ])('spread - when %s, clients end up evenly on the new list', (_, before, after) => {
    const clients = 30_000
    const load = new Map(after.map(server => [server, 0]))
    for (let i = 0; i < clients; i++) {
      const connected = before[i % before.length]!
      const move = rebalance(before, after, connected, nodePlatform.random)
      if (move === undefined) expect(after).toContain(connected)
      const chosen = move === undefined ? connected : [...move][Math.floor(Math.random() * move.size)]!
      load.set(chosen, load.get(chosen)! + 1)
    }
    for (const count of load.values()) expect(count / (clients / after.length)).toBeCloseTo(1, 1)
  })

  test('same list - nobody moves, and nobody who is not connected', () => {
    expect(rebalance(names(1, 3), names(1, 3), 's1', nodePlatform.random)).toBeUndefined()
    expect(rebalance(names(1, 3), names(4, 6), undefined, nodePlatform.random)).toBeUndefined()
  })
})

describe('SASL DIGEST-MD5', () => {
  test('answer - that of the example in RFC 2831, section 4', () => {
    const challenge =
      'realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",qop="auth",algorithm=md5-sess,charset=utf-8'
    const credentials = {
      username: 'chris',
      password: 'secret',
      serviceName: 'imap',
      serverName: 'elwood.innosoft.com',
    }
    const { token, expectedProof } = answerChallenge(challenge, credentials, 'OA6MHXh6VqTrRk')
    expect(token).toContain('response=d388dad90d4bbd760a152321f2143af7')
    expect(expectedProof).toBe('rspauth=ea40f60335c427b5527b84dbabcdfffd')
  })

  test('challenge - quotes in it are read and written; what is no such challenge is refused', () => {
    const challenge = String.raw`realm="a \"b\"", nonce="n,1" ,algorithm=md5-sess`
    const { token } = answerChallenge(challenge, { username: 'u"v', password: 'p' }, 'c')
    expect(token).toContain(String.raw`username="u\"v",realm="a \"b\"",nonce="n,1"`)
    const credentials = { username: 'u', password: 'p' }
    expect(() => answerChallenge('nonce="n"', credentials, 'c')).toThrow('no DIGEST-MD5 challenge')
    const conf = 'nonce="n",algorithm=md5-sess,qop="auth-conf"'
    expect(() => answerChallenge(conf, credentials, 'c')).toThrow('a protection that')
  })
})

describe('dns-srv', () => {
  const platform = (found: Record<string, { host: string; port: number }[]>) => ({
    random: nodePlatform.random,
    network: {
      lookup: (host: string) => Promise.resolve([host]),
      lookupService: (name: string) => Promise.resolve(found[name] ?? []),
    },
  })

  test('target - the servers are those of the name, the chroot is what follows it', async () => {
    const servers = [{ host: 'a', port: 1 }]
    const { hosts, chroot } = toHostProvider(
      'dns-srv://_zk._tcp.local/app',
      platform({ '_zk._tcp.local': servers }),
    )
    expect(await hosts.resolve(new AbortController().signal)).toEqual(servers)
    expect(chroot).toBe('/app')
    const unknown = toHostProvider('dns-srv://unknown', platform({}))
    expect(unknown.chroot).toBe('/')
    await expect(unknown.hosts.resolve(new AbortController().signal)).rejects.toThrow('no SRV records')
    expect(() => toHostProvider('dns-srv://', platform({}))).toThrow(UsageError)
  })
})

describe('chroot', () => {
  test.each([
    ['/', '/a', '/a'],
    ['/', '/', '/'],
    ['/app', '/a/b', '/app/a/b'],
    ['/app', '/', '/app'],
  ])('paths - below %s, %s is %s on the wire and back again', (root, path, wire) => {
    const chroot = new Chroot(root)
    expect(chroot.prepend(path)).toBe(wire)
    expect(chroot.strip(wire)).toBe(path)
  })

  test('paths - a malformed chroot is refused', () => expect(() => new Chroot('app')).toThrow(UsageError))
})

describe('options', () => {
  test('unknown - one is refused, and so is a duration that is none', async () => {
    await expect(ZooKeeper.connect('zk1', { timeout: 5 } as ConnectOptions)).rejects.toThrow(
      'unknown option timeout',
    )
    await expect(ZooKeeper.connect('zk1', { sessionTimeoutMs: 0 })).rejects.toThrow(
      'sessionTimeoutMs must be',
    )
    await expect(ZooKeeper.connect('zk1', { connectTimeoutMs: NaN })).rejects.toThrow(UsageError)
  })

  test('identities - what is none is refused, and nothing secret is said of it', async () => {
    for (const options of [
      { auth: [{ scheme: 'digest', credentials: 'ann:secret' }] },
      { auth: [{ auth: 'ann:secret' }] },
      { sasl: { user: 'ann', password: 'secret' } },
    ] as unknown as ConnectOptions[]) {
      const error: unknown = await ZooKeeper.connect('zk1', options).catch(caught => caught)
      expect(error).toBeInstanceOf(UsageError)
      expect(String(error)).not.toContain('secret')
    }
  })
})

describe('errors', () => {
  test('server errors - each code of the protocol but the success has a class of its own', () => {
    const names = Object.entries(ErrorCode).filter(([name]) => name !== 'ok' && name !== 'invalidCallback')
    const made = names
      .filter(([name]) => name !== 'unknownSession')
      .map(([, code]) => errorFromCode(code, { operation: 'getData', path: '/a' }))
    expect(new Set(made.map(({ constructor }) => constructor)).size).toBe(made.length)
    expect(new Set(made.map(({ code }) => code)).size).toBe(made.length)
    for (const error of made) {
      expect(error).toBeInstanceOf(ConclaveError)
      expect(error.name).toBe(error.constructor.name)
      expect(error.message).toMatch(/^getData \/a: ./)
      expect([error.operation, error.path]).toEqual(['getData', '/a'])
    }
  })

  test('server errors - only a time-out leaves the outcome open', () => {
    const unknown = Object.values(ErrorCode).filter(code => errorFromCode(code, {}).outcome === 'unknown')
    expect(unknown.sort((a, b) => a - b)).toEqual([ErrorCode.requestTimeout, ErrorCode.operationTimeout])
  })

  test('server errors - a code that nobody knows is an error too', () => {
    expect(errorFromCode(-999, {})).toMatchObject({ code: 'UNKNOWN_SERVER_ERROR', errorCode: -999 })
  })
})

describe('watch registry', () => {
  const nothing = (): void => {}

  test('events - each takes from the lists that the server took from', () => {
    const kinds = ['data', 'exist', 'child'] as const
    const left = (type: number): string[] => {
      const registry = new WatchRegistry()
      for (const kind of kinds) registry.add(kind, '/a', nothing)
      registry.take(type, '/a')
      return [...registry.toSetWatches(0n)].flatMap(request => [
        ...request.dataWatches.map(() => 'data'),
        ...request.existWatches.map(() => 'exist'),
        ...request.childWatches.map(() => 'child'),
      ])
    }
    expect(left(EventType.nodeCreated)).toEqual(['child'])
    expect(left(EventType.nodeDataChanged)).toEqual(['child'])
    expect(left(EventType.nodeChildrenChanged)).toEqual(['data', 'exist'])
    expect(left(EventType.nodeDeleted)).toEqual([])
    expect(left(EventType.dataWatchRemoved)).toEqual(['data', 'exist', 'child'])
  })

  test('watchers - the same one counts once for a path, whatever it watches there', () => {
    const registry = new WatchRegistry()
    registry.add('data', '/a', nothing)
    registry.add('data', '/a', nothing)
    registry.add('child', '/a', nothing)
    expect(registry.size).toBe(2)
    expect(registry.take(EventType.nodeDeleted, '/a').watchers).toEqual([nothing])
    expect(registry.size).toBe(0)
  })

  test('setWatches - many watches go in frames far below the limit, and none is left out', () => {
    const registry = new WatchRegistry()
    const paths = Array.from({ length: 20_000 }, (_, i) => `/some/longer/path/ünder/${i}`)
    for (const path of paths) registry.add('child', path, nothing)
    const requests = [...registry.toSetWatches(7n)]
    expect(requests.length).toBeGreaterThan(4)
    for (const request of requests) {
      const writer = new JuteWriter()
      setWatches.request.write(writer, request)
      expect(writer.length).toBeLessThan(200_000)
      expect(request.relativeZxid).toBe(7n)
    }
    expect(requests.flatMap(({ childWatches }) => childWatches)).toEqual(paths)
    expect([...new WatchRegistry().toSetWatches(7n)]).toEqual([])
  })
})
