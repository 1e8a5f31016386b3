import { create, deleteNode, getData, OPEN_ACL, setData } from '@conclave/protocol'
import { fourLetterWord, RawSession } from '@conclave/testing'
import { expect, test } from 'vitest'
import { parseQuota } from '../../src/state/quotas.ts'
import { startServer } from '../support/embedded.ts'

const QUOTA_EXCEEDED = -125

async function make(session: RawSession, path: string, data: string): Promise<number> {
  return (await session.call(create, { path, data: Buffer.from(data), acl: OPEN_ACL, flags: 0 })).errorCode
}

async function read(session: RawSession, path: string): Promise<string | undefined> {
  return (await session.call(getData, { path, watch: false })).response?.data?.toString()
}

async function limit(session: RawSession, limits: string): Promise<void> {
  for (const path of ['/zookeeper/quota/app']) await make(session, path, '')
  await make(session, '/zookeeper/quota/app/zookeeper_limits', limits)
  await make(session, '/zookeeper/quota/app/zookeeper_stats', 'count=0,bytes=0')
}

test('quota - what is at and below a path is counted, also over a restart', async () => {
  await using running = await startServer()
  await using session = await RawSession.connect(running.server.endpoint)
  await make(session, '/app', 'four')
  await make(session, '/apple', 'is another')
  await limit(session, 'count=1,bytes=1')
  const stats = '/zookeeper/quota/app/zookeeper_stats'
  expect(await read(session, stats)).toBe('count=1,bytes=4')
  await make(session, '/app/a', '12345')
  await session.call(setData, { path: '/app/a', data: Buffer.from('12'), version: -1 })
  expect(await read(session, stats)).toBe('count=2,bytes=6')
  await session.call(deleteNode, { path: '/app/a', version: -1 })
  await make(session, '/app/b', '123')
  expect(await read(session, stats)).toBe('count=2,bytes=7')
  await running.server.close()
  await using again = await startServer({ dataDir: running.dataDir })
  await using later = await RawSession.connect(again.server.endpoint)
  expect(await read(later, stats)).toBe('count=2,bytes=7')
})

test('quota - a hard limit refuses where it is enforced, a soft one never', async () => {
  await using running = await startServer({ enforceQuota: true })
  await using session = await RawSession.connect(running.server.endpoint)
  await make(session, '/app', '')
  await limit(session, 'count=1,bytes=1=;byteHardLimit=10;countHardLimit=3')
  expect(await make(session, '/app/a', '12345')).toBe(0)
  expect(await make(session, '/app/b', '123456')).toBe(QUOTA_EXCEEDED)
  expect(
    (await session.call(setData, { path: '/app/a', data: Buffer.alloc(11), version: -1 })).errorCode,
  ).toBe(QUOTA_EXCEEDED)
  expect(
    (await session.call(setData, { path: '/app/a', data: Buffer.alloc(10), version: -1 })).errorCode,
  ).toBe(0)
  expect(await make(session, '/app/b', '')).toBe(0)
  expect(await make(session, '/app/c', '')).toBe(QUOTA_EXCEEDED)
  expect(await make(session, '/elsewhere', '1234567890123')).toBe(0)
})

test.each([
  ['count=5,bytes=-1', { count: 5, bytes: -1, countHardLimit: -1, byteHardLimit: -1 }],
  [
    'count=5,bytes=7=;byteHardLimit=9;countHardLimit=-1',
    { count: 5, bytes: 7, countHardLimit: -1, byteHardLimit: 9 },
  ],
  ['', { count: -1, bytes: -1, countHardLimit: -1, byteHardLimit: -1 }],
  ['count=,bytes=x', { count: -1, bytes: -1, countHardLimit: -1, byteHardLimit: -1 }],
])('quota - is read from %j', (text, figures) => {
  expect(parseQuota(text)).toEqual(figures)
})

test('quota - what the server counts is in the size that it tells of, and goes with it', async () => {
  await using running = await startServer()
  await using session = await RawSession.connect(running.server.endpoint)
  const size = async (): Promise<number> =>
    Number(
      /zk_approximate_data_size\t(-?\d+)/.exec(await fourLetterWord(running.server.endpoint, 'mntr'))![1],
    )
  const before = await size()
  await make(session, '/app', 'four')
  await limit(session, 'count=1,bytes=1')
  await make(session, '/app/a', '0123456789')
  for (const path of [
    '/app/a',
    '/zookeeper/quota/app/zookeeper_limits',
    '/zookeeper/quota/app/zookeeper_stats',
    '/zookeeper/quota/app',
    '/app',
  ]) {
    expect((await session.call(deleteNode, { path, version: -1 })).errorCode).toBe(0)
  }
  expect(await size()).toBe(before)
})
