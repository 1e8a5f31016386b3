import { OPEN_ACL } from '@conclave/protocol'
import { expect, test } from 'vitest'
import { WatchManager, WatchMode, type Watcher } from '../../src/state/watch-manager.ts'

class Recorder implements Watcher {
  readonly events: string[] = []
  onWatchEvent(eventType: number, path: string, zxid: number): void {
    this.events.push(`${eventType} ${path} ${zxid}`)
  }
}

const DELETED = 2
const CHANGED = 3

test('watches - a one-shot watch tells once, a persistent one each time', () => {
  const watches = new WatchManager()
  const [once, always] = [new Recorder(), new Recorder()]
  watches.add('/a', once, WatchMode.standard)
  watches.add('/a', always, WatchMode.persistent)
  for (const zxid of [1, 2]) watches.trigger(CHANGED, '/a', zxid, OPEN_ACL)
  expect(once.events).toEqual(['3 /a 1'])
  expect(always.events).toEqual(['3 /a 1', '3 /a 2'])
  expect(watches.count).toBe(1)
})

test('watches - a recursive one tells of everything below, but not of names that only begin alike', () => {
  const watches = new WatchManager()
  const recorder = new Recorder()
  watches.add('/a', recorder, WatchMode.recursive)
  for (const path of ['/a', '/a/b', '/a/b/c', '/ab', '/', '/x/a']) watches.trigger(CHANGED, path, 1, OPEN_ACL)
  expect(recorder.events).toEqual(['3 /a 1', '3 /a/b 1', '3 /a/b/c 1'])
})

test('watches - one on the root sees all', () => {
  const watches = new WatchManager()
  const recorder = new Recorder()
  watches.add('/', recorder, WatchMode.recursive)
  for (const path of ['/', '/a', '/a/b']) watches.trigger(CHANGED, path, 1, OPEN_ACL)
  expect(recorder.events).toEqual(['3 / 1', '3 /a 1', '3 /a/b 1'])
})

test('watches - whoever has several kinds on a path is told once, and loses only the one-shot kind', () => {
  const watches = new WatchManager()
  const recorder = new Recorder()
  for (const mode of [WatchMode.standard, WatchMode.persistent, WatchMode.recursive])
    watches.add('/a', recorder, mode)
  watches.trigger(CHANGED, '/a', 1, OPEN_ACL)
  expect(recorder.events).toEqual(['3 /a 1'])
  expect(watches.has('/a', recorder, WatchMode.standard)).toBe(false)
  expect(watches.has('/a', recorder, WatchMode.persistent)).toBe(true)
  expect(watches.has('/a', recorder, WatchMode.recursive)).toBe(true)
})

test('watches - who was told by the one manager is passed over by the other, and its watch is gone all the same', () => {
  const [data, children] = [new WatchManager(), new WatchManager()]
  const [both, only] = [new Recorder(), new Recorder()]
  data.add('/a', both, WatchMode.standard)
  children.add('/a', both, WatchMode.standard)
  children.add('/a', only, WatchMode.standard)
  const told = data.trigger(DELETED, '/a', 7, OPEN_ACL)
  children.trigger(DELETED, '/a', 7, OPEN_ACL, told)
  expect(both.events).toEqual(['2 /a 7'])
  expect(only.events).toEqual(['2 /a 7'])
  expect(children.count).toBe(0)
})

test('watches - what is removed tells no more, and nothing of it is left', () => {
  const watches = new WatchManager()
  const recorders = Array.from({ length: 3 }, () => new Recorder())
  for (const recorder of recorders) {
    for (const path of ['/a', '/b']) watches.add(path, recorder, WatchMode.recursive)
  }
  expect(watches.remove('/a', recorders[0]!, WatchMode.standard)).toBe(false)
  expect(watches.remove('/a', recorders[0]!, WatchMode.any)).toBe(true)
  expect(watches.remove('/a', recorders[0]!, WatchMode.any)).toBe(false)
  watches.trigger(CHANGED, '/a/x', 1, OPEN_ACL)
  expect(recorders.map(({ events }) => events.length)).toEqual([0, 1, 1])
  for (const recorder of recorders) watches.removeWatcher(recorder)
  watches.trigger(CHANGED, '/b/x', 2, OPEN_ACL)
  expect(recorders.map(({ events }) => events.length)).toEqual([0, 1, 1])
  expect([watches.count, watches.pathCount, watches.watcherCount]).toEqual([0, 0, 0])
})
