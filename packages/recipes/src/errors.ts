import { ConclaveError } from '@conclave/core'
import type { EndReason } from './election-machine.ts'

const SENTENCES: Record<EndReason, string> = {
  released: 'it was released',
  unproven: 'no server has confirmed the session in time, or the event loop stood still for too long',
  sessionLost: 'the session has expired',
  deleted: 'its znode was deleted by somebody else',
  closed: 'the client was closed',
  failed: 'the server refused it',
}

/** A lease, or the wait for one, is over. */
export class LeaseEndedError extends ConclaveError {
  override readonly name = 'LeaseEndedError'
  /** Why it is over. */
  readonly reason: EndReason

  constructor(what: string, reason: EndReason, cause?: unknown) {
    super(`${what} has ended: ${SENTENCES[reason]}`, { code: 'LEASE_ENDED', cause })
    this.reason = reason
  }
}
