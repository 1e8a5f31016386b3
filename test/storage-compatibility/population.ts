import type { Endpoint } from '@conclave/core'
import {
  create,
  createContainer,
  createModeToFlags,
  createTtl,
  deleteNode,
  OPEN_ACL,
  setAcl,
  setData,
  type Acl,
} from '@conclave/protocol'
import { RawSession } from '@conclave/testing'
import { expect } from 'vitest'

const PER_PARENT = 500
/** So many requests are on their way at a time. */
const PART = 2_000
const HOUR_MS = 3_600_000
/** That of the sessions that stay: longer than to compare a million znodes takes. */
export const SESSION_TIMEOUT_MS = HOUR_MS

/** One in so many znodes has that of it. */
const EVERY = { acl: 10, changed: 7, deleted: 33, ttl: 100, container: 250, laterAcl: 50, quota: 20 } as const

/** Sixty that differ. */
function aclOf(i: number): readonly Acl[] {
  const reader = { perms: 1, scheme: 'world', id: 'anyone' }
  return i % 2 === 0
    ? [reader, { perms: 31, scheme: 'digest', id: `user-${i % 30}:digest` }]
    : [reader, { perms: 30, scheme: 'ip', id: `10.0.${i % 30}.0/24` }]
}

/** Does `count` things on a session, many at a time, none of which may be refused. */
async function doAll(
  count: number,
  action: (i: number) => Promise<{ readonly errorCode: number }> | undefined,
): Promise<void> {
  for (let from = 0; from < count; from += PART) {
    const length = Math.min(PART, count - from)
    const results = await Promise.all(Array.from({ length }, async (_, i) => action(from + i)))
    const errorCodes = new Set(results.map(result => result?.errorCode ?? 0))
    expect([...errorCodes]).toEqual([0])
  }
}

/**
 * Makes about so many znodes, below some parents: most alone, others with access lists, a time to live, changed, or deleted
 * again; containers; quotas of some parents; and so many sessions with two ephemeral znodes each, which stay open.
 */
export async function populate(endpoint: Endpoint, znodes: number, sessions: number): Promise<RawSession[]> {
  await using session = await RawSession.connect(endpoint, { timeoutMs: SESSION_TIMEOUT_MS })
  const make = (
    path: string,
    data: string,
    acl: readonly Acl[] = OPEN_ACL,
  ): ReturnType<typeof session.call> => session.call(create, { path, data: Buffer.from(data), acl, flags: 0 })
  const parentOf = (i: number): string => `/scale/parent-${Math.floor(i / PER_PARENT)}`
  const pathOf = (i: number): string => `${parentOf(i)}/znode-${i}`
  const isDeleted = (i: number): boolean => i % EVERY.deleted === 1

  const parents = Math.ceil(znodes / PER_PARENT)
  await make('/scale', '')
  await make('/scale/ephemerals', '')
  await doAll(parents, i => make(parentOf(i * PER_PARENT), `parent ${i}`))
  await make('/zookeeper/quota/scale', '')
  await doAll(Math.ceil(parents / EVERY.quota), i => {
    const quota = `/zookeeper/quota${parentOf(i * EVERY.quota * PER_PARENT)}`
    void make(quota, '')
    void make(`${quota}/zookeeper_limits`, 'count=100000,bytes=100000000')
    return make(`${quota}/zookeeper_stats`, 'count=0,bytes=0')
  })
  await doAll(znodes, i => {
    const path = pathOf(i)
    const data = Buffer.from('x'.repeat(i % 200))
    if (i % EVERY.ttl === 3) {
      const flags = createModeToFlags('persistentWithTtl')
      return session.call(createTtl, { path, data, acl: OPEN_ACL, flags, ttlMs: HOUR_MS + i })
    }
    if (i % EVERY.container === 4) {
      const flags = createModeToFlags('container')
      return session.call(createContainer, { path, data, acl: OPEN_ACL, flags })
    }
    return session.call(create, {
      path,
      data: i % 1_000 === 5 ? null : data,
      acl: i % EVERY.acl === 2 ? aclOf(Math.floor(i / EVERY.acl)) : OPEN_ACL,
      flags: 0,
    })
  })
  const open = (i: number): boolean => i % EVERY.acl !== 2
  await doAll(znodes, i => {
    if (i % EVERY.changed !== 0 || !open(i)) return undefined
    return session.call(setData, { path: pathOf(i), data: Buffer.from(`changed ${i}`), version: 0 })
  })
  await doAll(znodes, i => {
    if (i % EVERY.laterAcl !== 6) return undefined
    return session.call(setAcl, { path: pathOf(i), acl: aclOf(i), version: -1 })
  })
  await doAll(znodes, i => {
    if (!isDeleted(i)) return undefined
    return session.call(deleteNode, { path: pathOf(i), version: -1 })
  })
  return Promise.all(Array.from({ length: sessions }, (_, i) => openWithEphemerals(endpoint, i)))
}

async function openWithEphemerals(endpoint: Endpoint, number: number): Promise<RawSession> {
  const session = await RawSession.connect(endpoint, { timeoutMs: SESSION_TIMEOUT_MS })
  for (const mode of ['ephemeral', 'ephemeralSequential'] as const) {
    const path = `/scale/ephemerals/${mode}-${number}-`
    const request = { path, data: Buffer.from(mode), acl: OPEN_ACL, flags: createModeToFlags(mode) }
    expect((await session.call(create, request)).errorCode).toBe(0)
  }
  return session
}
