import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { codeOf, nodeClock } from '@conclave/core'
import { isProcessAlive } from '../process-alive.ts'
import { makeServerFolder, serverFile, unusableFolder } from './folder.ts'

/** A start that takes longer no longer keeps others from trying. */
const MAX_CLAIM_MS = 60_000

/**
 * Takes the right to start the server of a folder, so that not every waiting process starts one; `false` where another
 * one has it. It is only thrift: the lock that counts is the server's own.
 */
export async function claimStart(folder: string): Promise<boolean> {
  await makeServerFolder(folder)
  const claim = serverFile(folder, 'starting')
  try {
    writeFileSync(claim, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') {
      // Made, perhaps, and not written: the disk is full.
      rmSync(claim, { force: true })
      throw unusableFolder(folder, error)
    }
  }
  if (isAbandoned(claim)) rmSync(claim, { force: true })
  return false
}

/** Gives it back: the server runs, or will not. */
export function releaseStart(folder: string): void {
  rmSync(serverFile(folder, 'starting'), { force: true })
}

function isAbandoned(claim: string): boolean {
  try {
    const owner = Number(readFileSync(claim, 'utf8'))
    // Empty for the instant between its creation and its first byte; the pid of a dead one may be taken again.
    const isOld = nodeClock.wallMs() - statSync(claim).mtimeMs > MAX_CLAIM_MS
    return isOld || (owner > 0 && !isProcessAlive(owner))
  } catch {
    // It has just gone.
    return false
  }
}
