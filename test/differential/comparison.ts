import { mayBeHidden } from './random-operations.ts'
import type { CallResult, RawEvent, RawSession } from '@conclave/testing'

/** Lists that are sets on the server. */
const UNORDERED: ReadonlySet<string> = new Set(['children', 'ephemerals', 'clientInfo', 'acl'])

/** What must be equal on two servers: session ids by their order, no times, lists without an order sorted. */
export function comparable(result: CallResult<unknown>, sessions: readonly RawSession[]): string {
  return JSON.stringify(
    { zxid: Number(result.zxid), errorCode: result.errorCode, response: result.response ?? null },
    (key, value: unknown) => {
      if (key === 'ctime' || key === 'mtime') return 'some time'
      if (key === 'ephemeralOwner') return ownerName(value as bigint, sessions)
      if (typeof value === 'bigint') return Number(value)
      if (UNORDERED.has(key) && Array.isArray(value)) return value.map(item => JSON.stringify(item)).sort()
      if (key === 'data' && isBufferJson(value)) return Buffer.from(value.data).toString('latin1')
      return value
    },
  )
}

function isBufferJson(value: unknown): value is { data: number[] } {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer'
}

function ownerName(owner: bigint, sessions: readonly RawSession[]): string {
  const at = sessions.findIndex(({ sessionId }) => sessionId === owner)
  return owner === 0n ? 'nobody' : at === -1 ? `unknown ${owner}` : `session ${at}`
}

/** The events of a session, by the reply that they came after; of znodes that everybody may read. */
export function comparableEvents(events: readonly RawEvent[]): string[] {
  return events
    .filter(({ path }) => !mayBeHidden(path))
    .map(({ type, state, path, afterReplies }) => `${afterReplies} ${type} ${state} ${path}`)
    .sort()
}
