import { nodePlatform, ownIdentity, type Clock, type Disk } from '@conclave/core'
import { SimulatedDisk } from '@conclave/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LockFile, lockHolder } from '../../src/storage/lock-file.ts'

const FOLDER = '/data'
const path = (id: string): string => `${FOLDER}/conclave-server.lock.${id}`

async function newDisk(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk()
  await disk.makeFolder(FOLDER)
  return disk
}

async function write(disk: Disk, id: string, text: string): Promise<void> {
  const file = await disk.open(path(id), 'create')
  await file.write(Buffer.from(text), 0)
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(resolve => setImmediate(resolve))
}

/** A delay is as long as fifty operations of the disk take, each of the longest. */
const clock: Clock = {
  ...nodePlatform.clock,
  setTimer: (_delayMs, callback) => {
    const fire = async (): Promise<void> => {
      await turns(250)
      callback()
    }
    void fire()
    return { cancel: () => {} }
  },
}

/** The same disk for one that is held up before each operation for so many turns of the event loop. */
function heldUp(disk: Disk, delays: () => number): Disk {
  return {
    open: async (...args) => (await turns(delays()), disk.open(...args)),
    list: async (...args) => (await turns(delays()), disk.list(...args)),
    makeFolder: (...args) => disk.makeFolder(...args),
    rename: async (...args) => (await turns(delays()), disk.rename(...args)),
    remove: async (...args) => (await turns(delays()), disk.remove(...args)),
    syncFolder: (...args) => disk.syncFolder(...args),
    freeBytes: (...args) => disk.freeBytes(...args),
  }
}

describe('lock file', () => {
  test('holder - while it lives nobody else gets in, and after it has left the next does', async () => {
    const platform = { ...nodePlatform, clock, disk: await newDisk() }
    const lock = await LockFile.acquire(platform, FOLDER)
    await expect(LockFile.acquire(platform, FOLDER)).rejects.toMatchObject({
      code: 'DATA_FOLDER_LOCKED',
      message: `/data is in use by the server with process id ${process.pid}`,
    })
    await lock.release()
    await (await LockFile.acquire(platform, FOLDER)).release()
    expect(await platform.disk.list(FOLDER)).toEqual([])
  })

  test('left behind - by another process of the same id, or empty by a power failure, it is removed', async () => {
    const disk = await newDisk()
    const { pid } = ownIdentity()
    await write(disk, 'old', JSON.stringify({ id: 'old', pid, startedAt: '2020-01-01T00:00:00.000Z' }))
    await write(disk, 'torn', '')
    const lock = await LockFile.acquire({ ...nodePlatform, clock, disk }, FOLDER)
    expect(await disk.list(FOLDER)).toHaveLength(1)
    await lock.release()
  })

  test('looking - tells who has the folder, and removes nothing', async () => {
    const disk = await newDisk()
    expect(await lockHolder(disk, '/none')).toBeUndefined()
    const { pid } = ownIdentity()
    await write(disk, 'old', JSON.stringify({ id: 'old', pid, startedAt: '2020-01-01T00:00:00.000Z' }))
    await write(disk, 'torn', '')
    expect(await lockHolder(disk, FOLDER)).toBeUndefined()
    expect(await disk.list(FOLDER)).toHaveLength(2)
    const lock = await LockFile.acquire({ ...nodePlatform, clock, disk }, FOLDER)
    expect(await lockHolder(disk, FOLDER)).toMatchObject({ pid })
    await lock.release()
    expect(await lockHolder(disk, FOLDER)).toBeUndefined()
  })

  test('full disk - what was begun is removed', async () => {
    const disk = await newDisk()
    disk.onOperation = operation => {
      if (operation.startsWith('write')) disk.failure = 'ENOSPC'
    }
    const locking = LockFile.acquire({ ...nodePlatform, clock, disk }, FOLDER)
    await expect(locking).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(await disk.list(FOLDER)).toEqual([])
  })

  test('race - of several that start at one time on a folder left behind, one gets it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.infiniteStream(fc.nat(5)), async stream => {
        const delays = (): number => stream.next().value as number
        const disk = await newDisk()
        await write(disk, 'torn', '')
        const starters = Array.from({ length: 4 }, async () => {
          await turns(delays())
          return LockFile.acquire({ ...nodePlatform, clock, disk: heldUp(disk, delays) }, FOLDER)
        })
        const outcomes = await Promise.allSettled(starters)
        expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
        expect(await disk.list(FOLDER)).toHaveLength(1)
      }),
      { numRuns: 30 },
    )
  })
})
