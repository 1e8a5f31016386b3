import {
  ClientClosedError,
  NoNodeError,
  SessionExpiredError,
  ZooKeeperError,
  type ZooKeeper,
} from '@conclave/client'
import { Backoff, sleep } from '@conclave/core'

/**
 * Removes an ephemeral znode of the present session, trying until it is gone, and be it with the session. What a
 * recipe gives up must not stay behind because a connection broke just then.
 */
export async function guaranteedDelete(zk: ZooKeeper, path: string): Promise<void> {
  const backoff = new Backoff(zk.platform.random)
  const { sessionId } = zk.session
  while (zk.session.sessionId === sessionId) {
    try {
      return await zk.delete(path)
    } catch (error) {
      const gone =
        error instanceof NoNodeError ||
        error instanceof SessionExpiredError ||
        error instanceof ClientClosedError
      if (gone) return
      if (!(error instanceof ZooKeeperError && error.retryable)) throw error
    }
    await sleep(zk.platform.clock, backoff.nextDelayMs())
  }
}
