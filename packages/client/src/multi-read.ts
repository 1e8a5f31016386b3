import type { MultiResponse, Stat } from '@conclave/protocol'
import type { ZooKeeperError } from './errors.ts'
import { errorFromCode } from './server-errors.ts'

/** One read of several. */
export interface MultiReadOp {
  readonly op: 'getData' | 'getChildren'
  readonly path: string
}

/** What one read of several came to, in the order in which they were given. */
export type MultiReadResult =
  | { readonly op: 'getData'; readonly data: Buffer | null; readonly stat: Stat }
  | { readonly op: 'getChildren'; readonly children: readonly string[] }
  | { readonly op: 'error'; readonly error: ZooKeeperError }

export function toMultiReadResults({ results }: MultiResponse): MultiReadResult[] {
  return results.map(result => {
    switch (result.op) {
      case 'getData':
      case 'getChildren':
        return result
      case 'error':
        return { op: 'error', error: errorFromCode(result.errorCode, { operation: 'multiRead' }) }
      default:
        throw new TypeError(`a ${result.op} cannot be the result of a read`)
    }
  })
}
