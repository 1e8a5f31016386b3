import { ConclaveError } from './errors.ts'

/** A broken promise inside Conclave itself: a bug, never a fault of the network or of the caller. */
export class InvariantError extends ConclaveError {
  override readonly name = 'InvariantError'
  constructor(message: string) {
    super(message, { code: 'INVARIANT_BROKEN' })
  }
}

/**
 * States what must hold at this place. Stays on in production: a wrong state is stopped where it is made,
 * not where it hurts.
 */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message)
}

/** Marks the end of an exhaustive `switch`: the compiler proves it unreachable, bad input still ends here. */
export function unreachable(value: never): never {
  throw new InvariantError(`unexpected value ${JSON.stringify(value)}`)
}
