import type { Stat } from '@conclave/protocol'
import { NoAuthError } from './server-errors.ts'

/**
 * Whether there is a znode, by what `exists` says of it. Servers from 3.8.4 and 3.9.2 on tell nothing more of one that may
 * not be read; of one that is not there they say so to everybody.
 */
export async function isThere(stat: Promise<Stat | null>): Promise<boolean> {
  try {
    return (await stat) !== null
  } catch (error) {
    if (error instanceof NoAuthError) return true
    throw error
  }
}
