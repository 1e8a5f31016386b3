import { leakGuard } from '@conclave/testing'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'

test('leakGuard - is content when all was closed, and names what was not', async () => {
  const assertClean = leakGuard(20)
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  await expect(assertClean()).rejects.toThrow('left open: 1 TCPServerWrap')
  await new Promise(resolve => server.close(resolve))
  await assertClean()
})
