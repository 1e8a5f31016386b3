import { spawn } from 'node:child_process'
import { closeSync, fstatSync, openSync, readFileSync, renameSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { nodeClock, sleep } from '@conclave/core'
import type { ServerAddress } from '@conclave/server'
import { readServerAddress } from './address.ts'
import { serverFile } from './folder.ts'

/** The exit code of a server that was started in a way that can never work. */
export const USAGE_EXIT_CODE = 2

/** The exit code of a server that found another live one on its folder. */
export const LOCKED_EXIT_CODE = 3

/** How often it is looked whether the server listens. */
const POLL_MS = 10

/** The log in the folder is begun anew beyond this size, at the next start of the server. */
const MAX_LOG_BYTES = 1_000_000

/** How a server process is to be started. */
export interface Launch {
  /** Its command line, after `--data-dir`. */
  readonly args: readonly string[]
  readonly cwd: string
  /** The file that it writes its log to. Default: `conclave-server.log` in the folder. */
  readonly log?: string | undefined
  /** Ends the start, and the process with it. */
  readonly signal?: AbortSignal
}

/** A server that listens, or how one ended before it did. */
export type Launched =
  | { readonly address: ServerAddress }
  | { readonly exitCode: number | null; readonly sentence: string; readonly address?: undefined }

/**
 * Starts the embedded server on a folder, as a process that outlives this one, and waits until it listens or has ended.
 * Throws the signal's reason, once the process is gone; and what the system says where its log cannot be written.
 */
export async function launchServer(
  folder: string,
  { args, cwd, log = freshLog(folder), signal }: Launch,
): Promise<Launched> {
  signal?.throwIfAborted()
  const output = openSync(log, 'a')
  const logBefore = fstatSync(output)
  const startedBefore = readServerAddress(folder)?.startedAt
  // Detached: it outlives this process, and a Ctrl-C on this terminal is not for it.
  const child = spawn(process.execPath, [program(), '--data-dir', folder, ...args], {
    cwd,
    detached: true,
    stdio: ['ignore', output, output],
    windowsHide: true,
  })
  closeSync(output)
  let end: { readonly exitCode: number | null; readonly reason: string } | undefined
  child.once('error', error => (end = { exitCode: null, reason: error.message }))
  child.once('exit', (exitCode, killer) => {
    end = { exitCode, reason: killer === null ? `it ended with exit code ${exitCode}` : `${killer} ended it` }
  })
  const onAbort = (): boolean => child.kill('SIGTERM')
  signal?.addEventListener('abort', onAbort, { once: true })
  let address: ServerAddress | undefined
  while (end === undefined && (address === undefined || signal?.aborted === true)) {
    await sleep(nodeClock, POLL_MS)
    const found = readServerAddress(folder)
    // One that died may have left the address of a process with the same id.
    if (found?.pid === child.pid && found?.startedAt !== startedBefore) address = found
  }
  signal?.removeEventListener('abort', onAbort)
  child.unref()
  if (address !== undefined && end === undefined) return { address }
  signal?.throwIfAborted()
  const { exitCode, reason } = end!
  const said = exitCode !== null && logBefore.isFile() ? lastSentence(log, logBefore.size) : ''
  return { exitCode, sentence: said || reason }
}

function program(): string {
  return join(dirname(createRequire(import.meta.url).resolve('@conclave/server')), '../dist/program/bin.cjs')
}

/** The log in the folder. What it had before it was too long stays beside it until the next time. */
function freshLog(folder: string): string {
  const log = serverFile(folder, 'log')
  if ((statSync(log, { throwIfNoEntry: false })?.size ?? 0) > MAX_LOG_BYTES) renameSync(log, `${log}.old`)
  return log
}

/** The last of what a process wrote; lines of JSON are its log. */
function lastSentence(log: string, offset: number): string {
  const lines = readFileSync(log).subarray(offset).toString('utf8').trim().split('\n')
  return lines.findLast(line => !line.startsWith('{')) ?? ''
}
