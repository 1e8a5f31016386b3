import type { DiskFile } from '@conclave/core'
import { SimulatedDisk } from '@conclave/testing'
import { expect, test } from 'vitest'
import { FileSink } from '../../src/storage/compression/snapshot-sink.ts'

test('snapshot - its file is never far ahead of the disk, so that the log need not wait long', async () => {
  const file = await new SimulatedDisk().open('snapshot', 'create')
  let unsyncedBytes = 0
  const most: number[] = []
  const watched: DiskFile = Object.assign(Object.create(file) as DiskFile, {
    write(bytes: Uint8Array, position: number) {
      unsyncedBytes += bytes.length
      most.push(unsyncedBytes)
      return file.write(bytes, position)
    },
    sync() {
      unsyncedBytes = 0
      return file.sync()
    },
  })
  const sink = new FileSink(watched)
  const part = Buffer.alloc(64 << 10)
  for (let i = 0; i < 100; i++) await sink.write(part)
  await sink.end()
  expect(Math.max(...most)).toBe(1 << 20)
  expect(await file.sizeBytes()).toBe(100 * part.length)
})
