import { OperationTimeoutError, ThrottledError, type ZooKeeper } from '@conclave/client'
import { nodePlatform, type Clock } from '@conclave/core'
import { expect, test } from 'vitest'
import { guaranteedDelete } from '../src/guaranteed-delete.ts'

/** A client whose deletions fail in turn with these errors, and then succeed; delays cost no time. */
function failingWith(...errors: Error[]): ZooKeeper {
  const clock: Clock = {
    ...nodePlatform.clock,
    setTimer: (_delayMs, callback) => {
      queueMicrotask(callback)
      return { cancel: () => {} }
    },
  }
  const remove = (): Promise<void> => {
    const error = errors.shift()
    return error === undefined ? Promise.resolve() : Promise.reject(error)
  }
  const zk: Pick<ZooKeeper, 'delete' | 'platform' | 'session'> = {
    platform: { ...nodePlatform, clock },
    session: { sessionId: 1n, sessionPassword: new Uint8Array(16), negotiatedTimeoutMs: 1_000 },
    delete: remove,
  }
  return zk as ZooKeeper
}

test('guaranteed delete - whatever may pass is tried again', async () => {
  const errors = [new ThrottledError(), new OperationTimeoutError()]
  await guaranteedDelete(failingWith(...errors), '/a')
})

test('guaranteed delete - what will not pass is told', async () => {
  const refusal = new Error('no')
  await expect(guaranteedDelete(failingWith(refusal), '/a')).rejects.toBe(refusal)
})
