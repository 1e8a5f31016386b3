import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { closeSession, ZooKeeper, type PersistentWatch } from '@conclave/client'
import { EmbeddedServer } from '@conclave/server'
import { FaultProxy, temporaryFolder, type TemporaryFolder } from '@conclave/testing'

let folder: TemporaryFolder
let server: EmbeddedServer
let proxy: FaultProxy
/** Goes through the proxy; `zk` does not. */
let watching: ZooKeeper
let zk: ZooKeeper

beforeAll(async () => {
  folder = temporaryFolder()
  server = await EmbeddedServer.start({ dataDir: folder.path, port: 0, tickTimeMs: 200 })
  proxy = await FaultProxy.start(server.endpoint)
  zk = await ZooKeeper.connect(server.connectString)
  watching = await ZooKeeper.connect(proxy.connectString)
})

beforeEach(() => zk.deleteRecursive('/'))

afterAll(async () => {
  await Promise.all([zk.close(), watching.close()])
  await proxy.close()
  await server.close()
  await folder.remove()
})

/** The next events, as `type path`, with a star where they were found by catching up. */
async function take(watch: PersistentWatch, count: number): Promise<string[]> {
  const events: string[] = []
  while (events.length < count) {
    const { value, done } = await watch.next()
    if (done === true) break
    events.push(`${value.type} ${value.path}${value.type !== 'missed' && value.isCatchUp ? ' *' : ''}`)
  }
  return events
}

/** Cuts the connection, lets changes happen meanwhile, and waits until it is back. */
async function whileCutOff(change: () => Promise<unknown>): Promise<void> {
  const suspended = new Promise<void>(resolve => {
    const off = watching.on('state', ({ state }) => {
      if (state !== 'suspended') return
      off()
      resolve()
    })
  })
  proxy.refuse()
  proxy.cut()
  await suspended
  await change()
  proxy.heal()
  await watching.sync()
}

describe('persistent watch', () => {
  test('one znode - creation, data, children and deletion, again and again', async () => {
    const watch = await watching.watch('/a')
    for (let round = 0; round < 2; round++) {
      await zk.create('/a')
      await zk.setData('/a', 'x')
      await zk.create('/a/b')
      await zk.delete('/a/b')
      await zk.delete('/a')
      expect(await take(watch, 4)).toEqual(
        // Of one type at one path, what waits is kept once.
        ['nodeCreated /a', 'nodeDataChanged /a', 'nodeChildrenChanged /a', 'nodeDeleted /a'],
      )
    }
    await watch.close()
  })

  test('recursive - all below it, without lists of children', async () => {
    await zk.ensurePath('/r/x')
    const watch = await watching.watch('/r', { recursive: true })
    await zk.setData('/r/x', '1')
    await zk.create('/r/x/y')
    await zk.create('/outside')
    await zk.delete('/r/x/y')
    expect(await take(watch, 3)).toEqual(['nodeDataChanged /r/x', 'nodeCreated /r/x/y', 'nodeDeleted /r/x/y'])
    await watch.close()
    await zk.setData('/r/x', '2')
    expect(await take(watch, 1)).toEqual([])
  })

  test('root - with a chroot, paths are below it', async () => {
    await zk.create('/app')
    const inner = await ZooKeeper.connect(`${server.connectString}/app`)
    const watch = await inner.watch('/', { recursive: true })
    await zk.create('/app/a')
    expect(await take(watch, 1)).toEqual(['nodeCreated /a'])
    await inner.close()
    expect(await take(watch, 1)).toEqual([])
  })

  test('cut off - what changed is found by the stats and told as such; then live events go on', async () => {
    await zk.ensurePath('/r/changed')
    await zk.ensurePath('/r/same')
    await zk.ensurePath('/r/parent/deleted')
    const watch = await watching.watch('/r', { recursive: true })
    const single = await watching.watch('/single')
    // So that the client has seen a transaction later than all of these.
    await watching.sync()
    await whileCutOff(async () => {
      await zk.setData('/r/changed', 'x')
      await zk.create('/r/new')
      await zk.delete('/r/parent/deleted')
      await zk.create('/single')
    })
    const found = await take(watch, 4)
    expect(found.sort()).toEqual([
      'nodeChildrenChanged /r *',
      'nodeChildrenChanged /r/parent *',
      'nodeCreated /r/new *',
      'nodeDataChanged /r/changed *',
    ])
    expect(await take(single, 1)).toEqual(['nodeCreated /single *'])
    await whileCutOff(() => zk.delete('/single'))
    expect(await take(single, 1)).toEqual(['nodeDeleted /single *'])
    await zk.setData('/r/same', 'x')
    expect(await take(watch, 1)).toEqual(['nodeDataChanged /r/same'])
    await Promise.all([watch.close(), single.close()])
  })

  test('lost session - the watch is set again in the next, and what changed is found', async () => {
    await zk.create('/a')
    const watch = await watching.watch('/a')
    await watching.sync()
    const { session } = watching
    await whileCutOff(async () => {
      await closeSession(server.connectString, session)
      await zk.setData('/a', 'x')
    }).catch(() => watching.sync())
    expect(watching.session.sessionId).not.toBe(session.sessionId)
    expect(await take(watch, 1)).toEqual(['nodeDataChanged /a *'])
    await zk.setData('/a', 'y')
    expect(await take(watch, 1)).toEqual(['nodeDataChanged /a'])
    await watch.close()
  })

  test('slow consumer - what waits is bounded, and says so', async () => {
    const watch = await watching.watch('/', { recursive: true, maxPending: 3 })
    for (const name of ['a', 'b', 'c', 'd', 'e']) await zk.create(`/${name}`)
    await watching.sync()
    expect(await take(watch, 1)).toEqual(['missed /'])
    await zk.create('/f')
    expect(await take(watch, 1)).toEqual(['nodeCreated /f'])
    await watch.close()
  })

  test('closing - the last one takes the watch back, and the one-shot watches there stay', async () => {
    await zk.create('/a')
    const [first, second] = [await watching.watch('/a'), await watching.watch('/a')]
    const events: string[] = []
    await watching.getData('/a', { watch: ({ type }) => events.push(type) })
    await first.close()
    await zk.setData('/a', '1')
    expect(await take(second, 1)).toEqual(['nodeDataChanged /a'])
    expect(events).toEqual(['nodeDataChanged'])
    await watching.getData('/a', { watch: ({ type }) => events.push(type) })
    await second.close()
    await second.close()
    await zk.setData('/a', '2')
    await watching.sync()
    expect(events).toEqual(['nodeDataChanged', 'nodeDataChanged'])
    await expect(watching.checkWatches('/a', 'any')).rejects.toMatchObject({ code: 'NO_WATCHER' })
  })

  test('leaving - a loop that breaks and a signal that aborts end it', async () => {
    const controller = new AbortController()
    const watch = await watching.watch('/a', { signal: controller.signal })
    await zk.create('/a')
    for await (const { type } of watch) {
      expect(type).toBe('nodeCreated')
      break
    }
    await expect(watching.checkWatches('/a', 'any')).rejects.toMatchObject({ code: 'NO_WATCHER' })
    const other = await watching.watch('/a', { signal: controller.signal })
    const next = other.next()
    controller.abort()
    expect((await next).done).toBe(true)
  })

  test('giving up - a watch is taken back when its setting is aborted, and none is left when it is refused', async () => {
    const controller = new AbortController()
    const setting = watching.watch('/a', { signal: controller.signal })
    controller.abort()
    await expect(setting).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(watching.checkWatches('/a', 'any')).rejects.toMatchObject({ code: 'NO_WATCHER' })
    await expect(watching.watch('a')).rejects.toMatchObject({ code: 'BAD_ARGUMENTS' })
    await (await watching.watch('/a', { recursive: true })).close()
  })

  test('modes - one path has one, because older servers keep only one', async () => {
    const watch = await watching.watch('/a')
    await expect(watching.watch('/a', { recursive: true })).rejects.toMatchObject({ code: 'USAGE' })
    await watch.close()
  })
})
