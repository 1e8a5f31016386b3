import { NoNodeError, type WatchedEvent, type Watcher } from '@conclave/client'
import { eventually } from '@conclave/testing'
import { expect, test } from 'vitest'
import { describeEachEngine } from '../support/engines.ts'

/** Notes events as `type path`. */
class Recorder {
  readonly events: string[] = []
  readonly watch: Watcher = (event: WatchedEvent) => void this.events.push(`${event.type} ${event.path}`)

  /** Waits until there are as many, then compares. */
  async expect(...events: readonly string[]): Promise<void> {
    await eventually(() => this.events.length >= events.length, { what: `${events.length} events` })
    expect(this.events).toEqual(events)
  }
}

describeEachEngine('watches', fixture => {
  test('getData - tells of a change of data once', async () => {
    const [zk, other] = [await fixture.connect(), await fixture.connect()]
    const recorder = new Recorder()
    await zk.create('/a')
    await zk.getData('/a', { watch: recorder.watch })
    await other.create('/a/child')
    await other.setData('/a', '1')
    await other.setData('/a', '2')
    await zk.sync()
    await recorder.expect('nodeDataChanged /a')
  })

  test('getData - tells of a deletion', async () => {
    const [zk, other] = [await fixture.connect(), await fixture.connect()]
    const recorder = new Recorder()
    await zk.create('/a')
    await zk.getData('/a', { watch: recorder.watch })
    await other.delete('/a')
    await recorder.expect('nodeDeleted /a')
  })

  test('getData - leaves no watch where there is no znode', async () => {
    const zk = await fixture.connect()
    const recorder = new Recorder()
    await expect(zk.getData('/a', { watch: recorder.watch })).rejects.toThrow(NoNodeError)
    await zk.create('/a')
    await zk.setData('/a', 'x')
    await zk.sync()
    expect(recorder.events).toEqual([])
  })

  test('exists - tells of creation, of a change of data, and of deletion, once for each watch', async () => {
    const [zk, other] = [await fixture.connect(), await fixture.connect()]
    const recorder = new Recorder()
    await zk.exists('/a', { watch: recorder.watch })
    await other.create('/a')
    await recorder.expect('nodeCreated /a')
    await zk.exists('/a', { watch: recorder.watch })
    await other.setData('/a', 'x')
    await recorder.expect('nodeCreated /a', 'nodeDataChanged /a')
    await zk.exists('/a', { watch: recorder.watch })
    await other.delete('/a')
    await recorder.expect('nodeCreated /a', 'nodeDataChanged /a', 'nodeDeleted /a')
  })

  test('getChildren - tells of creations and deletions below, not of changes of data', async () => {
    const [zk, other] = [await fixture.connect(), await fixture.connect()]
    const recorder = new Recorder()
    await zk.create('/a')
    await zk.create('/a/b')
    await zk.getChildren('/a', { watch: recorder.watch })
    await other.setData('/a', 'x')
    await other.setData('/a/b', 'x')
    await other.create('/a/b/c')
    await other.create('/a/d')
    await recorder.expect('nodeChildrenChanged /a')
    await zk.getChildren('/a', { watch: recorder.watch })
    await other.delete('/a/d')
    await recorder.expect('nodeChildrenChanged /a', 'nodeChildrenChanged /a')
  })

  test('getChildren - tells of the deletion of the parent itself', async () => {
    const [zk, other] = [await fixture.connect(), await fixture.connect()]
    const recorder = new Recorder()
    await zk.create('/a')
    await zk.getChildren('/a', { watch: recorder.watch })
    await other.delete('/a')
    await recorder.expect('nodeDeleted /a')
  })

  test('watches - one deletion tells those of data and those of children, each watcher once', async () => {
    const [zk, other] = [await fixture.connect(), await fixture.connect()]
    const [data, children, exists] = [new Recorder(), new Recorder(), new Recorder()]
    await zk.create('/a')
    await zk.getData('/a', { watch: data.watch })
    await zk.getChildren('/a', { watch: children.watch })
    await zk.exists('/a', { watch: exists.watch })
    await other.delete('/a')
    for (const recorder of [data, children, exists]) await recorder.expect('nodeDeleted /a')
    await other.create('/a')
    await zk.sync()
    for (const recorder of [data, children, exists]) await recorder.expect('nodeDeleted /a')
  })

  test('watches - every watcher of a path is told, the same one once however often it was given', async () => {
    const zk = await fixture.connect()
    const [one, two] = [new Recorder(), new Recorder()]
    await zk.create('/a')
    await zk.getData('/a', { watch: one.watch })
    await zk.getData('/a', { watch: one.watch })
    await zk.getData('/a', { watch: two.watch })
    await zk.setData('/a', 'x')
    await one.expect('nodeDataChanged /a')
    await two.expect('nodeDataChanged /a')
  })

  test('watches - an event comes before any answer that shows the change', async () => {
    const [zk, other] = [await fixture.connect(), await fixture.connect()]
    await zk.create('/a', '0')
    for (let round = 1; round <= 50; round++) {
      const seen: string[] = []
      await zk.getData('/a', { watch: () => seen.push('event') })
      const writing = other.setData('/a', `${round}`)
      while (seen.at(-1) !== `${round}`) {
        seen.push((await zk.getData('/a')).data!.toString())
      }
      await writing
      expect(seen.filter(entry => entry !== `${round - 1}`)).toEqual(['event', `${round}`])
    }
  })

  test('watches - ephemerals that go with their session are told of', async () => {
    const [zk, owner] = [await fixture.connect(), await fixture.connect()]
    const recorder = new Recorder()
    await owner.create('/e', null, { mode: 'ephemeral' })
    await zk.exists('/e', { watch: recorder.watch })
    await zk.getChildren('/', { watch: recorder.watch })
    await owner.close()
    await eventually(() => recorder.events.length >= 2)
    expect([...recorder.events].sort()).toEqual(['nodeChildrenChanged /', 'nodeDeleted /e'])
  })

  test('watches - paths of events are below the chroot', async () => {
    const zk = await fixture.connect()
    await zk.create('/app')
    const below = await fixture.connect({ chroot: '/app' })
    const recorder = new Recorder()
    await below.exists('/x', { watch: recorder.watch })
    await below.getChildren('/', { watch: recorder.watch })
    await zk.create('/app/x')
    await eventually(() => recorder.events.length >= 2)
    expect([...recorder.events].sort()).toEqual(['nodeChildrenChanged /', 'nodeCreated /x'])
  })
})
