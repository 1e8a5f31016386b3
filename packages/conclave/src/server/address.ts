import { readFileSync } from 'node:fs'
import type { ServerAddress } from '@conclave/server'
import { serverFile } from './folder.ts'

/**
 * Which process serves, or has served, a folder, and where. `undefined` where there is no such file, and where it is
 * none: a server writes it in one piece, but a power failure may leave anything.
 */
export function readServerAddress(folder: string): ServerAddress | undefined {
  try {
    const found: unknown = JSON.parse(readFileSync(serverFile(folder, 'json'), 'utf8'))
    return isAddress(found) ? found : undefined
  } catch {
    return undefined
  }
}

/** A process id that is none would be that of many: signals to 0 or -1 go to whole groups. */
function isAddress(found: unknown): found is ServerAddress {
  const { pid, host, port } = (found ?? {}) as { readonly [name in keyof ServerAddress]?: unknown }
  return Number.isInteger(pid) && Number(pid) > 0 && typeof host === 'string' && Number.isInteger(port)
}
