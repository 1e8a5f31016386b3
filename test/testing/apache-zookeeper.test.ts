import {
  ApacheEnsemble,
  ApacheZooKeeper,
  eventually,
  fourLetterWord,
  leakGuard,
  temporaryFolder,
} from '@conclave/testing'
import { existsSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'

let assertClean: () => Promise<void>
beforeEach(() => {
  assertClean = leakGuard()
})
afterEach(() => assertClean())

test('ApacheZooKeeper - serves when start resolves, and leaves nothing behind', async () => {
  const server = await ApacheZooKeeper.start({ tickTimeMs: 500 })
  expect(await fourLetterWord(server.endpoint, 'ruok')).toBe('imok')
  expect(await fourLetterWord(server.endpoint, 'conf')).toMatch(/^tickTime=500$/m)
  expect(server.connectString).toBe(`127.0.0.1:${server.endpoint.port}`)
  await server.close()
  expect(server.process.isRunning).toBe(false)
  expect(existsSync(server.dataDir)).toBe(false)
})

test('ApacheZooKeeper - starts again on its port and on data that it was given', async () => {
  await using folder = temporaryFolder()
  await using server = await ApacheZooKeeper.start({ dataDir: folder.path })
  const { pid, connectString } = server
  await server.kill()
  expect(await server.process.ended).toEqual({ code: null, signal: 'SIGKILL' })
  await server.restart()
  expect(server.pid).not.toBe(pid)
  expect(server.connectString).toBe(connectString)
  expect(await fourLetterWord(server.endpoint, 'ruok')).toBe('imok')
  await server.close()
  expect(existsSync(folder.path)).toBe(true)
})

test('ApacheZooKeeper - a start that fails says why', async () => {
  await expect(ApacheZooKeeper.start({ settings: { dataDir: '/dev/null/data' } })).rejects.toThrow(
    /Apache ZooKeeper ended.*\/dev\/null\/data/s,
  )
})

test('ApacheEnsemble - three servers elect a leader, and another one when it is killed', async () => {
  await using ensemble = await ApacheEnsemble.start({ tickTimeMs: 500 })
  expect(ensemble.connectString.split(',')).toHaveLength(3)
  const first = await ensemble.quorumLeader()
  expect(first).toBeDefined()
  await first!.kill()
  const second = await eventually(() => ensemble.quorumLeader(), {
    what: 'another leader',
    timeoutMs: 30_000,
  })
  expect(second).not.toBe(first)
  await first!.restart()
  expect(await ensemble.quorumLeader()).toBe(second)
})
