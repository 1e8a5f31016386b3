import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { closeSession, ZooKeeper } from '@conclave/client'
import {
  decodeInstance,
  encodeInstance,
  randomly,
  roundRobin,
  ServiceProvider,
  ServiceRegistry,
  sticky,
  type ServiceInstance,
} from '@conclave/discovery'
import { EmbeddedServer } from '@conclave/server'
import { eventually, temporaryFolder, type TemporaryFolder } from '@conclave/testing'

let folder: TemporaryFolder
let server: EmbeddedServer
let zk: ZooKeeper
const opened: ZooKeeper[] = []

beforeAll(async () => {
  folder = temporaryFolder()
  server = await EmbeddedServer.start({ dataDir: folder.path, port: 0, tickTimeMs: 100 })
  zk = await ZooKeeper.connect(server.connectString)
})

beforeEach(async () => {
  await Promise.all(opened.splice(0).map(each => each.close()))
  await zk.deleteRecursive('/services')
})

afterAll(async () => {
  await Promise.all([zk, ...opened].map(each => each.close()))
  await server.close()
  await folder.remove()
})

async function connect(): Promise<ZooKeeper> {
  const client = await ZooKeeper.connect(server.connectString, { sessionTimeoutMs: 1_000 })
  opened.push(client)
  return client
}

const registryOf = (client: ZooKeeper): ServiceRegistry => new ServiceRegistry(client, '/services')
const web = (id: string, payload: unknown = null) => ({
  serviceName: 'web',
  id,
  address: '127.0.0.1',
  port: 80,
  payload,
})

describe('registry', () => {
  test('listing - what is registered is listed, what is unregistered is not', async () => {
    const registry = registryOf(await connect())
    expect(await registry.list('web')).toEqual([])
    const registration = await registry.register(web('a', { zone: 1 }))
    await registry.register({ serviceName: 'web', address: '::1', payload: null })
    const listed = await registry.list('web')
    expect(new Set(listed.map(({ port }) => port))).toEqual(new Set([80, null]))
    expect(listed.find(({ id }) => id === 'a')).toMatchObject({ payload: { zone: 1 }, status: 'up' })
    expect(await registry.serviceNames()).toEqual(['web'])
    await registration.unregister()
    await registration.unregister()
    expect(await registry.list('web')).toHaveLength(1)
    await expect(registration.update(1)).rejects.toMatchObject({ code: 'CLOSED' })
  })

  test('new session - what is registered is registered again', async () => {
    const client = await connect()
    await registryOf(client).register(web('a'))
    const { session } = client
    await closeSession(server.connectString, session)
    await eventually(async () => {
      const stat = await zk.exists('/services/web/a')
      return stat !== null && stat.ephemeralOwner !== session.sessionId
    })
    expect((await zk.exists('/services/web/a'))!.ephemeralOwner).toBe(client.session.sessionId)
  })

  test('old self - the znode of a session that is not over yet is replaced', async () => {
    const old = await connect()
    await registryOf(old).register(web('a', 'old'))
    await old.detach()
    const client = await connect()
    await registryOf(client).register(web('a', 'new'))
    expect((await zk.exists('/services/web/a'))!.ephemeralOwner).toBe(client.session.sessionId)
    expect(await registryOf(zk).list('web')).toMatchObject([{ payload: 'new' }])
  })

  test('two of one id - the later has it, the earlier gets it back when the later leaves', async () => {
    const first = await connect()
    await registryOf(first).register(web('a', 'first'))
    const second = await registryOf(await connect()).register(web('a', 'second'))
    expect(await registryOf(zk).list('web')).toMatchObject([{ payload: 'second' }])
    await second.unregister()
    await eventually(async () => {
      const [instance] = await registryOf(zk).list('web')
      return instance?.payload === 'first'
    })
  })

  test('deletion - what somebody deletes is registered again', async () => {
    await registryOf(await connect()).register(web('a'))
    await zk.delete('/services/web/a')
    await eventually(async () => (await zk.exists('/services/web/a')) !== null)
  })

  test('refused credentials - they end the client, and what it was still to do with them', async () => {
    const client = await connect()
    const registration = await registryOf(client).register(web('a', 1))
    await expect(client.addAuth('nobody knows', '')).rejects.toThrow()
    expect(client.state).toBe('closed')
    await registration.update(2)
    await registration.unregister()
    await registryOf(client).instances('web').start()
    await expect(registryOf(client).register(web('b'))).rejects.toMatchObject({ code: 'AUTH_FAILED' })
  })

  test('names - one that cannot be a znode is refused', async () => {
    await expect(registryOf(zk).register(web('a/b'))).rejects.toMatchObject({ code: 'USAGE' })
    expect(() => registryOf(zk).instances('')).toThrow('cannot be the name of a service')
  })
})

describe('cache', () => {
  test('events - who comes, changes and goes is told', async () => {
    const cache = registryOf(zk).instances('web')
    const events: string[] = []
    for (const name of ['added', 'changed', 'removed'] as const) {
      cache.on(name, ({ id, payload }) => events.push(`${name} ${id} ${String(payload)}`))
    }
    await cache.start()
    const registration = await registryOf(await connect()).register(web('a', 1))
    await eventually(() => events.length === 1)
    await registration.update(2)
    await eventually(() => events.length === 2)
    await registration.unregister()
    await eventually(() => events.length === 3)
    expect(events).toEqual(['added a 1', 'changed a 2', 'removed a 2'])
    expect(cache.current).toEqual([])
    await cache.close()
    await registryOf(await connect()).register(web('b'))
    expect(events).toHaveLength(3)
  })

  test('replaced at once - one that comes back under its id is read anew', async () => {
    const client = await connect()
    await registryOf(client).register(web('a', 'old'))
    const cache = registryOf(zk).instances('web')
    const removed: string[] = []
    cache.on('removed', ({ id }) => removed.push(id))
    await cache.start()
    await client.detach()
    const path = '/services/web/a'
    const { data } = await zk.getData(path)
    const replacement = String(data).replace('old', 'new')
    await zk.multi([
      { op: 'delete', path },
      { op: 'create', path, data: replacement, mode: 'ephemeral' },
    ])
    await eventually(() => cache.current[0]?.payload === 'new')
    expect(removed).toEqual([])
    await cache.close()
  })

  test('lost session - all is read again, and nobody seems to go who stayed', async () => {
    const client = await connect()
    const cache = registryOf(client).instances('web')
    const removed: string[] = []
    cache.on('removed', ({ id }) => removed.push(id))
    await registryOf(zk).register(web('stays'))
    const leaves = await registryOf(zk).register(web('leaves'))
    await cache.start()
    await closeSession(server.connectString, client.session)
    await leaves.unregister()
    await registryOf(zk).register(web('comes'))
    await eventually(
      () =>
        cache.current
          .map(({ id }) => id)
          .sort()
          .join() === 'comes,stays',
    )
    expect(removed).toEqual(['leaves'])
    await cache.close()
    // Registrations of the shared client would be made again for as long as it lives.
    await zk.deleteRecursive('/services')
  })
})

describe('provider', () => {
  const instance = (id: string, status: ServiceInstance['status'] = 'up'): ServiceInstance => ({
    ...{ serviceName: 'web', address: '127.0.0.1', port: 80, payload: null, registeredAtMs: 0 },
    id,
    status,
  })
  const pick = (provider: ServiceProvider, times: number): (string | undefined)[] =>
    Array.from({ length: times }, () => provider.pick()?.id)

  test('round robin - each in turn, without those out of service', () => {
    const cache = { current: [instance('b'), instance('a'), instance('x', 'outOfService')] }
    expect(pick(new ServiceProvider(cache), 4)).toEqual(['a', 'b', 'a', 'b'])
    expect(pick(new ServiceProvider({ current: [] }, { strategy: roundRobin() }), 1)).toEqual([undefined])
  })

  test('random - as the dice fall', () => {
    const cache = { current: [instance('a'), instance('b')] }
    const rolls = [0, 0.99, 0.5]
    const random = { bytes: (length: number) => new Uint8Array(length), float: () => rolls.shift()! }
    expect(pick(new ServiceProvider(cache, { strategy: randomly(random) }), 3)).toEqual(['a', 'b', 'b'])
  })

  test('sticky - the same one until it is gone', () => {
    const cache = { current: [instance('a'), instance('b')] }
    const provider = new ServiceProvider(cache, { strategy: sticky(roundRobin()) })
    expect(pick(provider, 2)).toEqual(['a', 'a'])
    cache.current = [instance('b')]
    expect(pick(provider, 2)).toEqual(['b', 'b'])
  })
})

describe('instance', () => {
  test('form - it is what Apache Curator reads and writes', () => {
    const curator =
      '{"name":"web","id":"1","address":"10.0.0.1","port":8080,"sslPort":null,"payload":null,' +
      '"registrationTimeUTC":1700000000000,"serviceType":"DYNAMIC","uriSpec":null,"enabled":true}'
    const instance = decodeInstance(Buffer.from(curator))!
    expect(instance).toEqual({
      serviceName: 'web',
      id: '1',
      address: '10.0.0.1',
      port: 8080,
      payload: null,
      registeredAtMs: 1_700_000_000_000,
      status: 'up',
    })
    expect(JSON.parse(encodeInstance(instance))).toEqual(JSON.parse(curator))
  })

  test.each([
    '',
    'not json',
    '[]',
    'null',
    '{"name":"web"}',
    '{"name":1,"id":"1","address":"a"}',
    ...[70_000, -1, 1.5, '"80"'].map(port => `{"name":"web","id":"1","address":"a","port":${port}}`),
  ])('form - %j describes none', data => expect(decodeInstance(Buffer.from(data))).toBeUndefined())
})
