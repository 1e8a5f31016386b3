import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf, nodeDisk, UsageError, type ConclaveError } from '@conclave/core'
import { EmbeddedServerError } from '../embedded-server-error.ts'

/**
 * What is found in a data folder, of this server or of Apache ZooKeeper, before there is anything else; also where it is a disk
 * of its own, or holds its configuration. The server has the same rule, but to import it would take longer than to ask.
 */
const KNOWN_NAMES =
  /^(myid|initialize|zookeeper_server\.pid|conclave-server\..*|lost\+found|.*\.(cfg|properties|dynamic(\..*)?)|\..*)$/

/** A file beside the data that says something of the server of a folder. */
export function serverFile(folder: string, ending: 'json' | 'log' | 'settings' | 'starting'): string {
  return join(folder, `conclave-server.${ending}`)
}

/**
 * Throws `UsageError` where there can never be a server on this folder: nothing is written to one that is somebody
 * else's. One that is not there yet is fine.
 */
export function checkServerFolder(folder: string): void {
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ENOENT') return
    if (code === 'EACCES' || code === 'EPERM') {
      throw new UsageError(`${folder} cannot be read by this user: name another folder for the data`, error)
    }
    throw unusableFolder(folder, error)
  }
  const stranger = names.find(name => !KNOWN_NAMES.test(name))
  if (stranger === undefined || names.includes('version-2')) return
  throw new UsageError(
    `${folder} is not the data folder of a server (it holds ${stranger}): name an empty or a new one`,
  )
}

/** Makes it where it is not there. */
export async function makeServerFolder(folder: string): Promise<void> {
  try {
    await nodeDisk.makeFolder(folder)
  } catch (error) {
    throw unusableFolder(folder, error)
  }
}

/** What to say when something in the folder could not be read or written. */
export function unusableFolder(folder: string, error: unknown): ConclaveError {
  const code = codeOf(error)
  if (code === 'EEXIST' || code === 'ENOTDIR') {
    return new UsageError(`${folder} is not a folder: name one for the data of the embedded server`, error)
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new UsageError(`${folder} cannot be written to: name another folder for the data`, error)
  }
  if (code === 'ENOENT') {
    return new UsageError(`${folder} cannot be made: name a folder for the data in one that exists`, error)
  }
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new EmbeddedServerError(`the disk with ${folder} is full: free some space`, error)
  }
  return new EmbeddedServerError(
    `the embedded server cannot use ${folder}: ${(error as Error).message}`,
    error,
  )
}
