import { deferred, type DiskFile } from '@conclave/core'
import { SimulatedDisk } from '@conclave/testing'
import { expect, test } from 'vitest'
import { describeState, ScriptedServer } from '../support/scripted-server.ts'

/** As `ScriptedServer` has its log filled. */
const FILLED_BYTES = 4_096
const NEXT_LOG = 'data/version-2/tmp.log'

/** Writes batches of one znode each. */
async function grow(server: ScriptedServer, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    server.create(`/znode-${server.state.lastZxid}`, 'x'.repeat(200))
    await server.commit.drain()
  }
}

async function logNames(server: ScriptedServer): Promise<string[]> {
  return (await server.folder.logs()).map(({ name }) => name)
}

test('next log - it is filled while the present one grows, and begun when that is full', async () => {
  const server = await ScriptedServer.start()
  await grow(server, 8)
  expect(await server.disk.list('data/version-2')).not.toContain('tmp.log')
  const operations: string[] = []
  server.disk.onOperation = operation => operations.push(operation.replace('data/version-2/', ''))
  await grow(server, 10)
  expect(server.log.nextOffset).toBeGreaterThan(FILLED_BYTES)
  await grow(server, 10)
  const ofNext = operations.filter(operation => operation.endsWith('tmp.log'))
  const named = ofNext.indexOf('rename tmp.log')
  expect(ofNext.slice(named - 2, named)).toEqual(['write tmp.log', 'sync tmp.log'])
  expect(await logNames(server)).toHaveLength(2)
  // Its size, and where it lies, were recorded before.
  const second = (await logNames(server))[1]!
  const ofSecond = operations.filter(operation => operation.endsWith(second))
  expect(new Set(ofSecond)).toEqual(new Set([`write ${second}`, `sync ${second}`]))
  expect(await server.reread()).toEqual(describeState(server.state))
  await grow(server, 60)
  expect((await logNames(server)).length).toBeGreaterThan(4)
  expect(await server.reread()).toEqual(describeState(server.state))
  await server.log.close()
  expect(await server.disk.list('data/version-2')).not.toContain('tmp.log')
})

/** A disk on which zeros take their time. */
class HeldDisk extends SimulatedDisk {
  readonly released = deferred()
  isHolding = false

  override async open(...args: Parameters<SimulatedDisk['open']>): Promise<DiskFile> {
    const file = await super.open(...args)
    return {
      ...file,
      write: async (bytes, position) => {
        if (bytes.every(byte => byte === 0)) {
          this.isHolding = true
          await this.released.promise
        }
        await file.write(bytes, position)
      },
    }
  }
}

test('next log - begun while it is being filled, no zeros come over its records', async () => {
  const disk = new HeldDisk()
  const server = await ScriptedServer.start(disk)
  while (!disk.isHolding) await grow(server, 1)
  await server.commit.roll()
  server.create('/first-of-the-next')
  const drained = server.commit.drain()
  // Turns of the event loop, in which its first batch would be on the disk if nothing held it back.
  for (let turn = 0; turn < 20; turn++) await server.folder.logs()
  disk.released.resolve()
  await drained
  await server.log.close()
  expect(await logNames(server)).toHaveLength(2)
  expect(await server.reread()).toEqual(describeState(server.state))
})

test('next log - where there is no room for its zeros, what it has taken is given back, and all goes on', async () => {
  const server = await ScriptedServer.start()
  let writes = 0
  server.disk.onOperation = operation => {
    // The headers of two files come before.
    if (operation !== `write ${NEXT_LOG}` || writes++ < 2) return
    throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
  }
  await grow(server, 40)
  expect(writes).toBe(3)
  expect(server.failure).toBeUndefined()
  expect(await server.disk.list('data/version-2')).not.toContain('tmp.log')
  expect(await logNames(server)).toEqual(['log.1'])
  server.disk.onOperation = () => {}
  await server.commit.roll()
  await grow(server, 40)
  // From the next one on it is tried again.
  expect((await logNames(server)).length).toBeGreaterThan(2)
  expect(await server.reread()).toEqual(describeState(server.state))
})
