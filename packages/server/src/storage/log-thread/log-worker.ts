// The thread's side: seals, writes and syncs one batch of the log after the other.

import { parentPort, workerData } from 'node:worker_threads'
import { BlockingFile, messageOf } from '@conclave/core'
import { sealRecords } from '../record-frame.ts'
import type { FromLogThread } from './messages.ts'
import { SharedOrder, type LogOrder, type SharedOrderMemory } from './shared-order.ts'

const port = parentPort!
const order = new SharedOrder(workerData as SharedOrderMemory)

function tell(message: FromLogThread): void {
  port.postMessage(message)
}

function carryOut({ descriptor, position, sizeBytes, lengthBytes }: LogOrder): void {
  const batch = order.batch.bytes.subarray(0, lengthBytes)
  sealRecords(batch, (from, to) => order.batch.adler32(from, to))
  const file = new BlockingFile(descriptor)
  if (sizeBytes > 0) file.truncate(sizeBytes)
  file.write(batch, position)
  file.sync()
}

tell({ type: 'ready' })
try {
  for (;;) {
    carryOut(order.await())
    order.done()
    // For an event loop that sleeps: one that does not has seen it by then.
    tell({ type: 'done' })
  }
} catch (error) {
  tell({ type: 'failed', message: messageOf(error), fields: { ...(error as object) } })
}
