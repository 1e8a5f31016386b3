import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join, relative } from 'node:path'
import { ZooKeeper } from '@conclave/client'
import { eventually, killAtExit, TemporaryFolder, TestProcess } from '@conclave/testing'
import { connect, defaultDataFolder, EmbeddedEngine } from 'conclave'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const umbrella = new URL('../../packages/conclave/dist/index.js', import.meta.url).href

let temporary: TemporaryFolder
let folder: string

beforeEach(() => {
  temporary = new TemporaryFolder()
  folder = join(temporary.path, 'a folder with spaces')
})
afterEach(async () => {
  await new EmbeddedEngine(folder).stop()
  await temporary.remove()
})

const pidOfServer = (): number =>
  (JSON.parse(readFileSync(join(folder, 'conclave-server.json'), 'utf8')) as { pid: number }).pid

async function resolve(at = folder): Promise<{ host: string; port: number }> {
  const [endpoint] = await new EmbeddedEngine(at).resolve(new AbortController().signal)
  killAtExit(pidOfServer())
  return endpoint!
}

describe('embedded engine', () => {
  test('start - processes that race for one folder find one server', async () => {
    const script = `
      import { EmbeddedEngine } from ${JSON.stringify(umbrella)}
      const [{ port }] = await new EmbeddedEngine(process.argv[1]).resolve(new AbortController().signal)
      console.log('port ' + port)`
    const processes = Array.from({ length: 6 }, () => {
      return new TestProcess(process.execPath, ['--input-type=module', '-e', script, folder])
    })
    const ports = await Promise.all(
      processes.map(process => process.line(line => /^port (\d+)$/.exec(line)?.[1])),
    )
    const { port } = await resolve()
    expect(new Set(ports)).toEqual(new Set([String(port)]))
  })

  test('folder - a relative path names the same server as the absolute one', async () => {
    const { port } = await resolve(relative(process.cwd(), folder))
    expect(await resolve()).toMatchObject({ port })
  })

  test('death - the server comes back on its data and its port, for a client that was connected all the time', async () => {
    await using zk = await connect(`embedded:${folder}`)
    const dead = pidOfServer()
    const { port } = await resolve()
    await zk.create('/kept', 'value')
    process.kill(dead, 'SIGKILL')
    // A write on a connection that is about to break has an unknown outcome; a read is repeated by the client.
    await eventually(() => zk.state !== 'connected')
    expect(String((await zk.getData('/kept')).data)).toBe('value')
    expect(pidOfServer()).not.toBe(dead)
    expect(await resolve()).toMatchObject({ port })
  })

  test('death - where its port was taken meanwhile it gets another one', async () => {
    const { port } = await resolve()
    const dead = pidOfServer()
    process.kill(dead, 'SIGKILL')
    // Until it is gone altogether it is alive to whoever asks, and a squatter would be taken for it.
    await eventually(() => !isAlive(dead), { what: 'the end of the server' })
    const squatter = createServer(socket => socket.destroy())
    await eventually(
      () =>
        new Promise<boolean>(settle => {
          squatter.once('error', () => settle(false))
          squatter.listen(port, '127.0.0.1', () => settle(true))
        }),
    )
    const again = await resolve()
    await new Promise(settle => squatter.close(settle))
    expect(again.port).not.toBe(port)
    await using zk = await ZooKeeper.connect(`127.0.0.1:${again.port}`)
    expect((await zk.getChildren('/')).children).toEqual(['zookeeper'])
  })

  test('claim - of a process that died while it started the server, it is taken over', async () => {
    mkdirSync(folder)
    const gone = new TestProcess(process.execPath, ['-e', ''])
    await gone.ended
    writeFileSync(join(folder, 'conclave-server.starting'), String(gone.pid))
    expect((await resolve()).port).toBeGreaterThan(0)
  })

  test('find - what answers on its port and is no ZooKeeper server is not taken for it', async () => {
    mkdirSync(folder)
    const stranger = createServer(socket =>
      socket
        .on('error', () => {})
        .resume()
        .end('hello'),
    )
    await new Promise<void>(listening => stranger.listen(0, '127.0.0.1', listening))
    const { port } = stranger.address() as AddressInfo
    const record = { pid: process.pid, host: '127.0.0.1', port }
    writeFileSync(join(folder, 'conclave-server.json'), JSON.stringify(record))
    expect(await new EmbeddedEngine(folder).find()).toBeUndefined()
    await new Promise(closed => stranger.close(closed))
  })

  test.skipIf(!existsSync('/proc/self'))(
    'folder - where none can be made, that is said at once',
    async () => {
      const never = new EmbeddedEngine('/proc/conclave/data').resolve(new AbortController().signal)
      await expect(never).rejects.toThrow('/proc/conclave/data cannot be made')
    },
  )

  test('find and stop - to look starts nothing, and what is stopped is gone', async () => {
    const engine = new EmbeddedEngine(folder)
    expect(await engine.find()).toBeUndefined()
    await resolve()
    expect(await engine.find()).toBeDefined()
    await engine.stop()
    expect(await engine.find()).toBeUndefined()
  })

  test('folder - a file, and a folder of something else, are refused and left alone', async () => {
    const file = join(temporary.path, 'file')
    writeFileSync(file, '')
    await expect(new EmbeddedEngine(file).resolve(new AbortController().signal)).rejects.toThrow(
      /is not a folder/,
    )
    const other = join(temporary.path, 'other')
    mkdirSync(join(other, 'photos'), { recursive: true })
    const refused = new EmbeddedEngine(other).resolve(new AbortController().signal)
    await expect(refused).rejects.toThrow(/is not the data folder of a server \(it holds photos\)/)
  })
})

describe('default data folder', () => {
  test('project - the nearest package.json decides, below XDG_DATA_HOME', () => {
    const project = join(temporary.path, 'project')
    mkdirSync(join(project, 'src/deep'), { recursive: true })
    writeFileSync(join(project, 'package.json'), '{ "name": "@acme/word count" }')
    const env = { XDG_DATA_HOME: '/data' }
    const fromDeep = defaultDataFolder(join(project, 'src/deep'), env)
    expect(fromDeep).toMatch(/^\/data\/conclave\/acme-word-count-[0-9a-f]{8}$/)
    expect(defaultDataFolder(project, env)).toBe(fromDeep)
  })

  test('project - two of one name have two folders, one that is no package is called as its folder', () => {
    const folders = ['x/app', 'y/app'].map(name => join(temporary.path, name))
    folders.forEach(path => mkdirSync(path, { recursive: true }))
    const [x, y] = folders.map(path => defaultDataFolder(path, { XDG_DATA_HOME: '/data' }))
    expect(x).toMatch(/\/app-[0-9a-f]{8}$/)
    expect(x).not.toBe(y)
  })
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
