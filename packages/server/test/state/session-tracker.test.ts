import { expect, test } from 'vitest'
import { sessionPassword } from '../../src/state/session-password.ts'
import { SessionTracker } from '../../src/state/session-tracker.ts'

const TICK_MS = 1_000

const expiredIds = (tracker: SessionTracker, nowMs: number): bigint[] =>
  tracker.expired(nowMs).map(({ id }) => id)

test('expiry - a session expires at the end of the step in which its timeout ends, never before', () => {
  const tracker = new SessionTracker(TICK_MS)
  tracker.add(1n, 4_500, 300)
  for (const nowMs of [300, 4_799, 4_800, 4_999]) expect(expiredIds(tracker, nowMs)).toEqual([])
  expect(expiredIds(tracker, 5_000)).toEqual([1n])
})

test('expiry - with steps of a millisecond it expires to the millisecond', () => {
  const tracker = new SessionTracker(1)
  tracker.add(1n, 4_500, 300)
  expect(expiredIds(tracker, 4_799)).toEqual([])
  expect(expiredIds(tracker, 4_800)).toEqual([1n])
})

test('expiry - when the next one is due is known', () => {
  const tracker = new SessionTracker(TICK_MS)
  expect(tracker.nextExpiryMs).toBe(Infinity)
  const first = tracker.add(1n, 4_000, 0)
  tracker.add(2n, 9_000, 0)
  expect(tracker.nextExpiryMs).toBe(4_000)
  tracker.touch(first, 7_500)
  expect(tracker.nextExpiryMs).toBe(9_000)
  tracker.remove(2n)
  expect(tracker.nextExpiryMs).toBe(12_000)
})

test('expiry - hearing of a session moves it on, and never back', () => {
  const tracker = new SessionTracker(TICK_MS)
  const session = tracker.add(1n, 4_000, 0)
  tracker.touch(session, 3_500)
  expect(expiredIds(tracker, 7_999)).toEqual([])
  session.timeoutMs = 1_000
  tracker.touch(session, 3_600)
  expect(expiredIds(tracker, 7_999)).toEqual([])
  expect(expiredIds(tracker, 8_000)).toEqual([1n])
})

test('expiry - all that is due is told, whatever the order, until it is removed', () => {
  const tracker = new SessionTracker(TICK_MS)
  for (let id = 1n; id <= 5n; id++) tracker.add(id, Number(id) * 2_000, 0)
  expect(expiredIds(tracker, 7_000)).toEqual([1n, 2n, 3n])
  tracker.remove(2n)
  expect(expiredIds(tracker, 7_000)).toEqual([1n, 3n])
})

test('expiry - after a start every session has its whole timeout', () => {
  const tracker = new SessionTracker(TICK_MS)
  tracker.add(1n, 4_000, 0)
  tracker.touchAll(100_000)
  expect(expiredIds(tracker, 103_999)).toEqual([])
  expect(expiredIds(tracker, 104_000)).toEqual([1n])
})

test('session ids - are new, positive, and have the number of the server in the high byte', () => {
  const tracker = new SessionTracker(TICK_MS)
  const first = tracker.nextId(1_795_255_120_000)
  tracker.add(first + 1n, 1_000, 0)
  const second = tracker.nextId(1_795_255_120_000)
  expect(first >> 56n).toBe(1n)
  expect(second).toBe(first + 2n)
})

// What `new java.util.Random(id ^ 0xB3415C00L).nextBytes(new byte[16])` gives.
test.each([
  [1n, '054cc74a37327db215e702e20c73f005'],
  [-1n, '20f62cb5648dc2d771471c8a2486a9ee'],
  [117_653_864_000_716_801n, 'eeab1c8c6c5eceb0a65726cfc9a6d558'],
])('session password - follows from the id as in Java (%s)', (id, expected) => {
  expect(sessionPassword(id).toString('hex')).toBe(expected)
})
