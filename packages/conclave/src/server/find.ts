import { formatEndpoint, isStillRunning, nodeDisk, type ProcessIdentity } from '@conclave/core'
import type { ServerAddress } from '@conclave/server'
import { readServerAddress } from './address.ts'
import { checkServerFolder } from './folder.ts'

/** A live process that has a data folder. */
export interface FoundServer {
  readonly identity: ProcessIdentity
  /** Where it listens; missing while it reads its data, and at the very end. */
  readonly address?: ServerAddress
}

/**
 * The process that serves a folder, or is about to; never another one that got its id, nor what a power failure has left
 * of it. `undefined` where there is none; throws `UsageError` where there can never be one.
 */
export async function findServer(folder: string): Promise<FoundServer | undefined> {
  checkServerFolder(folder)
  const address = readServerAddress(folder)
  if (address !== undefined && isStillRunning(address)) return { identity: address, address }
  const { lockHolder } = await import('@conclave/server')
  const identity = await lockHolder(nodeDisk, folder)
  return identity === undefined ? undefined : { identity }
}

/** `process 123, at 127.0.0.1:2181`. */
export function describeServer({ identity, address }: FoundServer): string {
  const where = address === undefined ? 'which does not listen' : `at ${formatEndpoint(address)}`
  return `process ${identity.pid}, ${where}`
}
