import { NoWatcherError, type PersistentWatch } from '@conclave/client'
import { expect, test } from 'vitest'
import { describeEachEngine } from '../support/engines.ts'

/** The next events, as `type path`. */
async function take(watch: PersistentWatch, count: number): Promise<string[]> {
  const events: string[] = []
  while (events.length < count) {
    const { value, done } = await watch.next()
    if (done === true) break
    events.push(`${value.type} ${value.path}`)
  }
  return events
}

describeEachEngine('persistent watches', fixture => {
  test('one znode - tells of every creation, change, child and deletion', async () => {
    const [zk, other] = [await fixture.connect(), await fixture.connect()]
    const watch = await zk.watch('/a')
    await other.create('/a')
    expect(await take(watch, 1)).toEqual(['nodeCreated /a'])
    await other.setData('/a', '1')
    expect(await take(watch, 1)).toEqual(['nodeDataChanged /a'])
    await other.create('/a/b')
    expect(await take(watch, 1)).toEqual(['nodeChildrenChanged /a'])
    await other.create('/a/b/c')
    await other.setData('/a/b', 'x')
    await other.deleteRecursive('/a')
    expect(await take(watch, 2)).toEqual(['nodeChildrenChanged /a', 'nodeDeleted /a'])
    await other.create('/a')
    expect(await take(watch, 1)).toEqual(['nodeCreated /a'])
    await watch.return()
  })

  test('recursive - tells of all below, of each znode itself and never of lists of children', async () => {
    const [zk, other] = [await fixture.connect(), await fixture.connect()]
    await zk.create('/a')
    await zk.create('/ab')
    const watch = await zk.watch('/a', { recursive: true })
    await other.create('/ab/outside')
    await other.create('/a/b')
    await other.create('/a/b/c', 'x')
    await other.setData('/a/b/c', 'y')
    await other.delete('/a/b/c')
    await other.setData('/a', 'z')
    expect(await take(watch, 5)).toEqual([
      'nodeCreated /a/b',
      'nodeCreated /a/b/c',
      'nodeDataChanged /a/b/c',
      'nodeDeleted /a/b/c',
      'nodeDataChanged /a',
    ])
    await watch.return()
  })

  test('recursive - a transaction tells each of its changes', async () => {
    const [zk, other] = [await fixture.connect(), await fixture.connect()]
    const watch = await zk.watch('/', { recursive: true })
    await other.multi([
      { op: 'create', path: '/a' },
      { op: 'create', path: '/a/b', mode: 'ephemeral' },
      { op: 'setData', path: '/a', data: 'x' },
    ])
    expect(await take(watch, 3)).toEqual(['nodeCreated /a', 'nodeCreated /a/b', 'nodeDataChanged /a'])
    await other.close()
    expect(await take(watch, 1)).toEqual(['nodeDeleted /a/b'])
    await watch.return()
  })

  test('a server that is killed and comes back keeps none of them, and the client sets them again', async () => {
    const zk = await fixture.connect()
    await zk.create('/a')
    const watch = await zk.watch('/a', { recursive: true })
    await fixture.server.kill()
    await fixture.server.restart()
    await zk.sync()
    const other = await fixture.connect()
    await other.create('/a/b')
    expect(await take(watch, 1)).toEqual(['nodeCreated /a/b'])
    await watch.return()
  })

  test('a one-shot watch on the same path is told as well, once', async () => {
    const [zk, other] = [await fixture.connect(), await fixture.connect()]
    await zk.create('/a')
    const events: string[] = []
    // Both at once: the second is on its way before the first is answered.
    const [watch] = await Promise.all([
      zk.watch('/a'),
      zk.getData('/a', { watch: ({ type }) => events.push(type) }),
    ])
    for (const data of ['1', '2']) {
      await other.setData('/a', data)
      expect(await take(watch, 1)).toEqual(['nodeDataChanged /a'])
    }
    expect(events).toEqual(['nodeDataChanged'])
    await watch.return()
  })

  test('a one-shot watch on children beside a recursive watch is told of both, whichever came first', async () => {
    const [zk, other] = [await fixture.connect(), await fixture.connect()]
    await zk.create('/a')
    const events: string[] = []
    const onChildren = (): Promise<unknown> =>
      zk.getChildren('/a', { watch: ({ type, path }) => events.push(`${type} ${path}`) })
    await onChildren()
    const watch = await zk.watch('/a', { recursive: true })
    await other.create('/a/b')
    await other.create('/a/b/deeper')
    expect(await take(watch, 2)).toEqual(['nodeCreated /a/b', 'nodeCreated /a/b/deeper'])
    expect(events).toEqual(['nodeChildrenChanged /a'])
    await onChildren()
    await other.delete('/a/b/deeper')
    await other.delete('/a/b')
    await other.create('/a/c')
    expect(await take(watch, 3)).toEqual(['nodeDeleted /a/b/deeper', 'nodeDeleted /a/b', 'nodeCreated /a/c'])
    expect(events).toEqual(['nodeChildrenChanged /a', 'nodeChildrenChanged /a'])
    await watch.return()
  })

  test('a one-shot watch on the same path outlives the one that stays, and can be taken back', async () => {
    const [zk, other] = [await fixture.connect(), await fixture.connect()]
    await zk.create('/a')
    const watch = await zk.watch('/a')
    const events: string[] = []
    await zk.getData('/a', { watch: ({ type }) => events.push(`dropped ${type}`) })
    await zk.checkWatches('/a', 'data')
    await zk.removeWatches('/a', 'data')
    await expect(zk.removeWatches('/a', 'data')).rejects.toBeInstanceOf(NoWatcherError)
    await zk.getData('/a', { watch: ({ type }) => events.push(type) })
    await watch.return()
    await zk.sync()
    await other.setData('/a', '1')
    await zk.sync()
    expect(events).toEqual(['nodeDataChanged'])
  })
})
