import { UsageError } from '@conclave/core'
import {
  createModeToFlags,
  isCreateMode,
  ErrorCode,
  errorCodeName,
  hasTtl,
  OPEN_ACL,
  type Acl,
  type CreateMode,
  type MultiOp,
  type MultiResponse,
  type MultiResult as WireResult,
  type Stat,
} from '@conclave/protocol'
import type { Chroot } from './chroot.ts'
import { toBytes, type Data } from './data.ts'
import { ZooKeeperError } from './errors.ts'
import { errorFromCode } from './server-errors.ts'

/** One operation of a transaction. Defaults are those of the method of the same name. */
export type TransactionOp =
  | {
      readonly op: 'create'
      readonly path: string
      readonly data?: Data
      readonly mode?: CreateMode
      readonly acl?: readonly Acl[]
      readonly ttlMs?: number
    }
  | { readonly op: 'delete'; readonly path: string; readonly expectedVersion?: number }
  | { readonly op: 'setData'; readonly path: string; readonly data: Data; readonly expectedVersion?: number }
  /** Changes nothing; the transaction fails where the version of the znode's data is another. */
  | { readonly op: 'check'; readonly path: string; readonly expectedVersion?: number }

/** What one operation of a transaction came to, in the order in which they were given. */
export type MultiResult =
  /** No stat: servers before 3.10 do not send one. */
  | { readonly op: 'create'; readonly path: string }
  | { readonly op: 'delete' }
  | { readonly op: 'setData'; readonly stat: Stat }
  | { readonly op: 'check' }

/** A transaction failed as a whole and changed nothing. `code` and `cause` are those of the operation to blame. */
export class MultiError extends ZooKeeperError {
  override readonly name = 'MultiError'
  /** Which operation failed. */
  readonly index: number
  /** The error code of each operation: 0 before the failing one, `runtimeInconsistency` after it. */
  readonly errorCodes: readonly number[]

  constructor(index: number, errorCodes: readonly number[]) {
    const errorCode = errorCodes[index]!
    const cause = errorFromCode(errorCode, { operation: 'multi' })
    const what = `operation ${index} of ${errorCodes.length} failed with ${errorCodeName(errorCode) ?? errorCode}`
    super({ code: cause.code, what }, { operation: 'multi', outcome: cause.outcome, cause })
    this.index = index
    this.errorCodes = errorCodes
  }
}

/** A transaction's operation as the wire has it. */
export function toMultiOp(op: TransactionOp, chroot: Chroot): MultiOp {
  const path = chroot.prepend(op.path)
  switch (op.op) {
    case 'create': {
      const { mode = 'persistent', acl = OPEN_ACL, ttlMs = 0 } = op
      if (!isCreateMode(mode)) throw new UsageError(`there is no mode ${String(mode)}`)
      const request = { path, data: toBytes(op.data ?? null), acl, flags: createModeToFlags(mode) }
      if (hasTtl(mode)) return { op: 'createTtl', ...request, ttlMs }
      return { op: mode === 'container' ? 'createContainer' : 'create', ...request }
    }
    case 'delete':
    case 'check':
      return { op: op.op, path, version: op.expectedVersion ?? -1 }
    case 'setData':
      return { op: 'setData', path, data: toBytes(op.data), version: op.expectedVersion ?? -1 }
  }
}

/** The results of a transaction that was applied; throws `MultiError` for one that was not. */
export function toMultiResults({ results }: MultiResponse, chroot: Chroot): MultiResult[] {
  if (results.some(result => result.op === 'error')) {
    const errorCodes = results.map(result => (result.op === 'error' ? result.errorCode : 0))
    const failed = errorCodes.findIndex(code => code !== 0 && code !== ErrorCode.runtimeInconsistency)
    throw new MultiError(failed === -1 ? errorCodes.findIndex(code => code !== 0) : failed, errorCodes)
  }
  return results.map(result => toMultiResult(result, chroot))
}

function toMultiResult(result: WireResult, chroot: Chroot): MultiResult {
  switch (result.op) {
    case 'create':
    // How containers and znodes with a time to live are answered.
    case 'create2':
    case 'createContainer':
    case 'createTtl':
      return { op: 'create', path: chroot.strip(result.path) }
    case 'setData':
    case 'delete':
    case 'check':
      return result
    default:
      throw new TypeError(`a ${result.op} cannot be the result of a transaction`)
  }
}
