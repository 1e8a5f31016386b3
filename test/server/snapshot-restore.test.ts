import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ZooKeeper } from '@conclave/client'
import { EmbeddedServer } from '@conclave/server'
import { ApacheZooKeeper, eventually, fourLetterWord, temporaryFolder } from '@conclave/testing'
import { expect, test } from 'vitest'

const ZNODES = 200
const PASSWORD = 'super:secret'
const superDigest = `super:${createHash('sha1').update(PASSWORD).digest('base64')}`

function start(dataDir: string): Promise<EmbeddedServer> {
  return EmbeddedServer.start({ dataDir, port: 0, superDigest, admin: { port: 0 } })
}

function command(server: EmbeddedServer, name: string, body?: Uint8Array<ArrayBuffer>): Promise<Response> {
  return fetch(`http://127.0.0.1:${server.adminEndpoint!.port}/commands/${name}`, {
    headers: { authorization: `digest ${PASSWORD}` },
    ...(body === undefined ? {} : { method: 'POST', body }),
  })
}

async function fill(zk: ZooKeeper): Promise<void> {
  await Promise.all(Array.from({ length: ZNODES }, (_, i) => zk.create(`/znode-${i}`, `data ${i}`)))
}

async function expectFilled(connectString: string): Promise<void> {
  const zk = await ZooKeeper.connect(connectString)
  for (const i of [0, ZNODES - 1]) {
    expect((await zk.getData(`/znode-${i}`)).data?.toString()).toBe(`data ${i}`)
  }
  await zk.close()
}

test('admin snapshot - Apache ZooKeeper starts on what was taken while others write', async () => {
  await using folder = temporaryFolder()
  await using server = await start(join(folder.path, 'ours'))
  const zk = await ZooKeeper.connect(server.connectString)
  await fill(zk)
  let isDone = false
  const writing = (async () => {
    for (let i = 0; !isDone; i++) await zk.create('/changing-', String(i), { mode: 'persistentSequential' })
  })()
  const response = await command(server, 'snapshot')
  const bytes = Buffer.from(await response.arrayBuffer())
  isDone = true
  await writing
  await zk.close()
  const zxid = response.headers.get('last_zxid')!.slice('0x'.length)
  const dataDir = join(folder.path, 'theirs')
  await mkdir(join(dataDir, 'version-2'), { recursive: true })
  await writeFile(join(dataDir, 'version-2', `snapshot.${zxid}`), bytes)
  await using apache = await ApacheZooKeeper.start({ dataDir })
  await expectFilled(apache.connectString)
  const figures = await fourLetterWord(apache.endpoint, 'mntr')
  expect(figures).toMatch(/^zk_digest_mismatches_count\t0$/m)
})

test.each(['none', 'gz', 'snappy'])(
  'admin restore - a snapshot of Apache ZooKeeper with compression %s; sessions are lost',
  async form => {
    await using folder = temporaryFolder()
    await using apache = await ApacheZooKeeper.start({
      systemProperties: { 'zookeeper.snapshot.compression.method': form },
    })
    const theirs = await ZooKeeper.connect(apache.connectString)
    await fill(theirs)
    await theirs.close()
    // It takes one when it starts.
    await apache.restart()
    const versionPath = join(apache.dataDir, 'version-2')
    const names = (await readdir(versionPath)).filter(name => /^snapshot\.(?!0\b)/.test(name))
    const dataDir = join(folder.path, 'ours')
    await using server = await start(dataDir)
    const zk = await ZooKeeper.connect(server.connectString)
    await zk.create('/ephemeral', null, { mode: 'ephemeral' })
    const states: string[] = []
    zk.on('state', ({ state }) => states.push(state))
    const response = await command(server, 'restore', await bytesOf(join(versionPath, names[0]!)))
    expect(await response.json()).toMatchObject({ command: 'restore', error: null })
    await eventually(() => states.includes('lost'))
    await zk.create('/later', 'x')
    await zk.close()
    await server.close()
    // The zxid of the restored tree stands in no log; that is nothing to Apache's server either.
    await using again = await ApacheZooKeeper.start({ dataDir })
    await expectFilled(again.connectString)
    const after = await ZooKeeper.connect(again.connectString)
    expect((await after.getData('/later')).data?.toString()).toBe('x')
    await after.close()
  },
)

async function bytesOf(path: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await readFile(path))
}
