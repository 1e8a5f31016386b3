import { create, deleteNode, OPEN_ACL, setData } from '@conclave/protocol'
import { RawSession } from '@conclave/testing'
import { expect, test } from 'vitest'
import { startServer } from '../support/embedded.ts'

test('history - the tree can be seen as it was at every zxid, over snapshots and while the server runs', async () => {
  await using running = await startServer({ snapCount: 7 })
  await using session = await RawSession.connect(running.server.endpoint)
  const expected = new Map<number, string | undefined>()
  const made = await session.call(create, { path: '/a', data: Buffer.from('0'), acl: OPEN_ACL, flags: 0 })
  expected.set(Number(made.zxid), '0')
  for (let i = 1; i < 20; i++) {
    const { zxid } = await session.call(setData, { path: '/a', data: Buffer.from(`${i}`), version: -1 })
    expected.set(Number(zxid), `${i}`)
  }
  const gone = await session.call(deleteNode, { path: '/a', version: -1 })
  expected.set(Number(gone.zxid), undefined)
  // Snapshots remove what is older than the three that are kept.
  const kept = [...expected].filter(([zxid]) => zxid > Number(gone.zxid) - 12)
  for (const [zxid, data] of kept) {
    const tree = await running.server.treeAt(zxid)
    expect(tree.get('/a')?.data?.toString(), `zxid ${zxid}`).toBe(data)
    expect([...tree.paths()].includes('/a')).toBe(data !== undefined)
  }
  await expect(running.server.treeAt(Number(gone.zxid) + 1)).rejects.toMatchObject({ code: 'USAGE' })
})
