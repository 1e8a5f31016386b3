import { fileURLToPath } from 'node:url'
import { ZooKeeper } from '@conclave/client'
import { EmbeddedServerProcess, eventually, leakGuard } from '@conclave/testing'
import { expect, test } from 'vitest'

const DATA = Buffer.alloc(10_000, 'x')
/** Enough of them at a time to make batches for the thread. */
const ROUND = 40
const WARNING = /the log goes on without a thread of its own/

/** With a file of `support/` that is loaded before it. */
function startWith(fault: string): Promise<EmbeddedServerProcess> {
  const preload = fileURLToPath(new URL(`./support/${fault}.cjs`, import.meta.url))
  return EmbeddedServerProcess.start({ env: { NODE_OPTIONS: `--require=${preload}` } })
}

test.each(['no-threads', 'dying-thread'])(
  'log thread - without it the log goes on, and nothing is lost (%s)',
  async fault => {
    const assertClean = leakGuard()
    await using server = await startWith(fault)
    await using zk = await ZooKeeper.connect(server.connectString)
    const { sessionId } = zk.session
    const made: string[] = []
    const writeRound = async (): Promise<void> => {
      const paths = Array.from({ length: ROUND }, (_, i) => `/znode-${made.length + i}`)
      await Promise.all(paths.map(path => zk.create(path, DATA)))
      made.push(...paths)
    }
    // A thread is ready when it is, and takes what comes then.
    while (!WARNING.test(server.process.stderr)) await writeRound()
    await writeRound()
    expect(server.process.stderr.split(WARNING)).toHaveLength(2)
    expect(server.process.stderr).not.toMatch(/cannot be written/)
    await server.kill()
    await server.restart()
    const { children } = await eventually(() => zk.getChildren('/'))
    expect(made.filter(path => !children.includes(path.slice(1)))).toEqual([])
    expect(zk.session.sessionId).toBe(sessionId)
    await zk.close()
    await server.stop()
    await assertClean()
  },
)

test('log thread - a wake-up that comes late is not taken for another order', async () => {
  const assertClean = leakGuard()
  await using server = await startWith('late-wake-up')
  await using zk = await ZooKeeper.connect(server.connectString)
  for (let round = 0; round < 20; round++) {
    const paths = Array.from({ length: ROUND }, (_, i) => `/znode-${round}-${i}`)
    await Promise.all(paths.map(path => zk.create(path, DATA)))
  }
  await zk.close()
  await server.stop()
  await assertClean()
})
