import { ZooKeeper } from '@conclave/client'
import { EmbeddedServerProcess, eventually, temporaryFolder, TestProcess } from '@conclave/testing'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'

const BIN = join(dirname(createRequire(import.meta.url).resolve('@conclave/server')), 'program', 'bin.cjs')

test('server process - SIGTERM ends it in order, and its address file goes with it', async () => {
  await using server = await EmbeddedServerProcess.start()
  const file = join(server.dataDir, 'conclave-server.json')
  expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ ...server.endpoint, pid: server.pid })
  const zk = await ZooKeeper.connect(server.connectString)
  await zk.create('/a', 'x')
  expect(await server.process.terminate()).toEqual({ code: 0, signal: null })
  expect(existsSync(file)).toBe(false)
  expect(server.process.stderr).toBe('')
  await server.restart()
  expect((await zk.getData('/a')).data?.toString()).toBe('x')
  await zk.close()
})

test('server process - a session outlives a server that hangs for less than its timeout', async () => {
  await using server = await EmbeddedServerProcess.start()
  const zk = await ZooKeeper.connect(server.connectString, { sessionTimeoutMs: 4_000 })
  await zk.create('/e', null, { mode: 'ephemeral' })
  const { sessionId } = zk.session
  server.process.signal('SIGSTOP')
  await eventually(() => zk.state === 'suspended', { what: 'the client to notice' })
  server.process.signal('SIGCONT')
  await eventually(() => zk.state === 'connected', { what: 'the client to be back' })
  expect(zk.session.sessionId).toBe(sessionId)
  expect(await zk.exists('/e')).not.toBeNull()
  await zk.close()
})

test('server process - what it logs to may be full; it serves all the same', async () => {
  const folder = temporaryFolder()
  const server = new TestProcess('sh', [
    '-c',
    'exec "$0" "$@" 2>/dev/full',
    process.execPath,
    BIN,
    '--data-dir',
    join(folder.path, 'data'),
    '--port',
    '0',
    '--snap-count',
    '10',
    '--verbose',
  ])
  const port = await server.line(line => (JSON.parse(line) as { port?: number }).port)
  await using zk = await ZooKeeper.connect(`127.0.0.1:${port}`)
  // Each snapshot is logged.
  for (let i = 0; i < 40; i++) await zk.create(`/n${i}`, null)
  expect(server.isRunning).toBe(true)
  await zk.close()
  expect(await server.terminate()).toEqual({ code: 0, signal: null })
  await folder.remove()
})

/** A start that must fail: how it ended, and what it said. */
async function failToStart(dataDir: string, port = 0): Promise<string> {
  const failure = await EmbeddedServerProcess.start({ dataDir, port }).then(
    server => server.close().then(() => 'it started'),
    (error: Error) => error.message,
  )
  expect(failure.trim().split('\n')).toHaveLength(1)
  return failure
}

test('server process - a second one on the same folder ends with exit code 3 and says who has it', async () => {
  await using server = await EmbeddedServerProcess.start()
  const message = await failToStart(server.dataDir)
  expect(message).toContain('exit code 3')
  expect(message).toContain(String(server.pid))
  const zk = await ZooKeeper.connect(server.connectString)
  await zk.create('/undisturbed')
  await zk.close()
})

test('server process - a port in use ends it with one sentence', async () => {
  await using server = await EmbeddedServerProcess.start()
  await using folder = temporaryFolder()
  const message = await failToStart(join(folder.path, 'data'), server.endpoint.port)
  expect(message).toContain('exit code 1')
  expect(message).toContain(`${server.connectString}: the port is in use`)
})

test('server process - a data folder that is none ends it with one sentence, and stays as it is', async () => {
  await using folder = temporaryFolder()
  const file = join(folder.path, 'file')
  await writeFile(file, 'mine')
  expect(await failToStart(file)).toContain(file)
  expect(await readFile(file, 'utf8')).toBe('mine')

  const documents = join(folder.path, 'documents')
  await mkdir(documents)
  await writeFile(join(documents, 'letter.txt'), 'mine')
  expect(await failToStart(documents)).toContain(documents)
  expect(existsSync(join(documents, 'version-2'))).toBe(false)
})

test('server process - the lock of a server that was killed is no obstacle', async () => {
  await using server = await EmbeddedServerProcess.start()
  const { pid } = server
  await server.kill()
  expect(existsSync(join(server.dataDir, 'conclave-server.json'))).toBe(true)
  await server.restart()
  expect(server.pid).not.toBe(pid)
})
