import { auth, childPath, exists, getAcl, getChildren, getData } from '@conclave/protocol'
import { RawSession } from '@conclave/testing'
import { expect } from 'vitest'
import { SESSION_TIMEOUT_MS } from './population.ts'

/** So many are asked for at a time. */
const PART = 500

/** Everything that a client can know of a znode. */
async function factsOf(session: RawSession, path: string): Promise<Facts> {
  const [data, stat, acl, children] = await Promise.all([
    session.call(getData, { path, watch: false }),
    session.call(exists, { path, watch: false }),
    session.call(getAcl, { path }),
    session.call(getChildren, { path, watch: false }),
  ])
  return {
    path,
    errorCodes: [data.errorCode, stat.errorCode, acl.errorCode, children.errorCode],
    data: data.response?.data?.toString('latin1'),
    stat: stat.response?.stat,
    acl: acl.response?.acl,
    children: [...(children.response?.children ?? [])].sort(),
  }
}

interface Facts {
  readonly path: string
  readonly errorCodes: readonly number[]
  readonly data: string | undefined
  readonly stat: unknown
  readonly acl: unknown
  readonly children: readonly string[]
}

/**
 * Compares all znodes of two servers: data, stats, access lists and children. Whoever proves to be `user` by the scheme
 * `digest` must be allowed to see everything. Resolves to how many there are.
 */
export async function compareTrees(
  servers: readonly [Parameters<typeof RawSession.connect>[0], Parameters<typeof RawSession.connect>[0]],
  user: string,
): Promise<number> {
  await using one = await RawSession.connect(servers[0], { timeoutMs: SESSION_TIMEOUT_MS })
  await using other = await RawSession.connect(servers[1], { timeoutMs: SESSION_TIMEOUT_MS })
  for (const session of [one, other]) {
    await session.call(auth, { type: 0, scheme: 'digest', auth: Buffer.from(user) })
  }
  let count = 0
  let paths = ['/']
  while (paths.length > 0) {
    const below: string[] = []
    for (let from = 0; from < paths.length; from += PART) {
      const part = paths.slice(from, from + PART)
      const factsBy = (session: RawSession): Promise<Facts[]> =>
        Promise.all(part.map(path => factsOf(session, path)))
      const [expected, found] = await Promise.all([factsBy(one), factsBy(other)])
      expect(found).toEqual(expected)
      for (const { path, errorCodes, children } of expected) {
        expect(errorCodes, path).toEqual([0, 0, 0, 0])
        for (const name of children) below.push(childPath(path, name))
      }
      count += part.length
    }
    paths = below
  }
  return count
}
