import { fileURLToPath } from 'node:url'
import { ZooKeeper } from '@conclave/client'
import { EmbeddedServerProcess, eventually, leakGuard } from '@conclave/testing'
import { expect, test } from 'vitest'

const DATA = Buffer.alloc(10_000, 'x')
/** Enough of them at a time to make batches for the thread. */
const ROUND = 40
const ROUNDS = 10

test.each(['no-threads', 'dying-thread'])(
  'log thread - without it the log goes on, and nothing is lost (%s)',
  async fault => {
    const assertClean = leakGuard()
    const preload = fileURLToPath(new URL(`./support/${fault}.cjs`, import.meta.url))
    await using server = await EmbeddedServerProcess.start({ env: { NODE_OPTIONS: `--require=${preload}` } })
    await using zk = await ZooKeeper.connect(server.connectString)
    const { sessionId } = zk.session
    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all(
        Array.from({ length: ROUND }, (_, i) => zk.create(`/znode-${round * ROUND + i}`, DATA)),
      )
    }
    expect(server.process.stderr.match(/the log goes on without a thread of its own/g)).toHaveLength(1)
    expect(server.process.stderr).not.toMatch(/cannot be written/)
    await server.kill()
    await server.restart()
    const { children } = await eventually(() => zk.getChildren('/'))
    expect(children.filter(name => name.startsWith('znode-'))).toHaveLength(ROUND * ROUNDS)
    expect(zk.session.sessionId).toBe(sessionId)
    await zk.close()
    await server.stop()
    await assertClean()
  },
)
