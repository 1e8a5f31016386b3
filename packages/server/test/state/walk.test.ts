import fc from 'fast-check'
import { OPEN_ACL } from '@conclave/protocol'
import { expect, test } from 'vitest'
import { DataTree } from '../../src/state/data-tree.ts'

/** What happens after each znode that is seen: so many are created, and one is deleted, to come again or not. */
const changes = fc.array(
  fc.record({
    created: fc.nat(2),
    deleted: fc.option(fc.nat(), { nil: undefined }),
    comesAgain: fc.boolean(),
  }),
  { minLength: 1, maxLength: 40 },
)

test('walk - all that was there and stays is seen once, and it ends, however much comes meanwhile', () => {
  fc.assert(
    fc.property(fc.nat(60), changes, (count, script) => {
      const tree = new DataTree()
      let zxid = 0
      const create = (path: string): void =>
        tree.create(path, null, OPEN_ACL, 0n, -1, { zxid: ++zxid, timeMs: 1 })
      create('/a')
      const there = Array.from({ length: count }, (_, i) => `/a/${i}`)
      there.forEach(create)
      const [staying, seen] = [new Set(there), [] as string[]]
      let created = 0
      let steps = 0
      for (const ref of tree.refs('/a', zxid)) {
        seen.push(String(ref))
        const step = script[steps++ % script.length]!
        // More than are seen.
        for (let i = 0; i <= step.created; i++) create(`/a/new-${created++}`)
        const path = there[(step.deleted ?? 0) % there.length]
        if (step.deleted === undefined || path === undefined || tree.get(path) === undefined) continue
        staying.delete(path)
        tree.delete(path, ++zxid)
        if (step.comesAgain) create(path)
      }
      expect(new Set(seen).size).toBe(seen.length)
      expect(seen.filter(path => path.includes('new-'))).toEqual([])
      expect([...staying].filter(path => !seen.includes(path))).toEqual([])
    }),
  )
})
