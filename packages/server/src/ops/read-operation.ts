import type { JuteReader, JuteWriter } from '@conclave/protocol'
import type { Identity } from '../state/access.ts'
import type { DataTree } from '../state/data-tree.ts'
import type { Watcher } from '../state/watch-manager.ts'

/** Who asks. */
export interface ReadScope {
  readonly tree: DataTree
  readonly sessionId: bigint
  readonly identities: readonly Identity[]
  readonly watcher: Watcher
}

/** An operation that changes no znode: writes the body of the answer and returns 0, or returns an error code. */
export type ReadOperation = (scope: ReadScope, reader: JuteReader, writer: JuteWriter) => number

/**
 * An operation without a body in its answer. It runs before the answer is begun, so it may let watches fire: their
 * events then come first.
 */
export type BodylessOperation = (scope: ReadScope, reader: JuteReader) => number
