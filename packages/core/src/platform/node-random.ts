import { randomBytes } from 'node:crypto'
import type { Random } from '../random.ts'

/** Cryptographic bytes; `float` is not for secrets. */
export const nodeRandom: Random = { bytes: length => randomBytes(length), float: () => Math.random() }
