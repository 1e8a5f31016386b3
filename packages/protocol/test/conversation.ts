import { readFileSync } from 'node:fs'
import * as protocol from '@conclave/protocol'
import { OpCode, SpecialXid, type Operation } from '@conclave/protocol'

/** One frame, with its four bytes of length. */
export interface Frame {
  readonly connection: number
  readonly from: 'client' | 'server'
  readonly bytes: Buffer
}

interface RecordedFrame extends Omit<Frame, 'bytes'> {
  readonly hex: string
}

/** What Apache ZooKeeper's client and server said to each other; see `fixtures/README.md`. */
export const conversation: readonly Frame[] = (
  JSON.parse(
    readFileSync(new URL('fixtures/apache-conversation.json', import.meta.url), 'utf8'),
  ) as RecordedFrame[]
).map(({ hex, ...frame }) => ({ ...frame, bytes: Buffer.from(hex, 'hex') }))

function isOperation(value: unknown): value is Operation<unknown, unknown> {
  return typeof value === 'object' && value !== null && 'opCode' in value && 'request' in value
}

/** Every operation that the package exports, by opcode. */
export const operations: ReadonlyMap<number, Operation<unknown, unknown>> = new Map(
  Object.values(protocol)
    .filter(isOperation)
    .map(operation => [operation.opCode, operation]),
)

/** What a frame is, as far as its place in the conversation says. */
export type Meaning =
  | { readonly kind: 'connectRequest' | 'connectResponse' | 'event' | 'bare' }
  | { readonly kind: 'request' | 'reply'; readonly operation: Operation<unknown, unknown> }

/** The frames with their meaning: replies are known by the xid of their request. */
export function* annotated(): Generator<Frame & { readonly meaning: Meaning }> {
  const greeted = new Set<string>()
  const requested = new Map<string, number>()
  for (const frame of conversation) {
    const { connection, from, bytes } = frame
    const side = `${connection} ${from}`
    if (!greeted.has(side)) {
      greeted.add(side)
      yield { ...frame, meaning: { kind: from === 'client' ? 'connectRequest' : 'connectResponse' } }
      continue
    }
    const xid = bytes.readInt32BE(4)
    const key = `${connection} ${xid}`
    if (from === 'client') {
      const opCode = bytes.readInt32BE(8)
      requested.set(key, opCode)
      const operation = operations.get(opCode)
      if (operation === undefined) throw new Error(`no operation has opcode ${opCode}`)
      yield { ...frame, meaning: { kind: 'request', operation } }
    } else if (xid === SpecialXid.notification) {
      yield { ...frame, meaning: { kind: 'event' } }
    } else {
      const opCode = requested.get(key) ?? (xid === SpecialXid.ping ? OpCode.ping : OpCode.auth)
      const failed = bytes.readInt32BE(16) !== 0
      yield {
        ...frame,
        meaning: failed ? { kind: 'bare' } : { kind: 'reply', operation: operations.get(opCode)! },
      }
    }
  }
}
