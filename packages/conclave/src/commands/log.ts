import type { LoggedChange, LoggedTransaction } from '@conclave/server'
import { existsSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { UsageError } from '@conclave/core'
import { Command } from 'commander'
import { interruptSignal } from '../interrupt.ts'
import { LineWriter } from '../line-writer.ts'
import { count, say } from '../output.ts'

interface LogOptions {
  readonly json?: true
  readonly withData?: true
  readonly follow?: true
}

/** `conclave log`: the transactions that a server has written, as text or as NDJSON. */
export function logCommand(): Command {
  return new Command('log')
    .description('show the transaction log of a ZooKeeper server, of this one or of Apache ZooKeeper')
    .argument('<path>', "a data folder, or one file 'log.<zxid>' of it")
    .option('-f, --follow', 'of a folder: go on with what its server writes, until Ctrl-C')
    .option('--json', 'one JSON object per transaction, for programs')
    .option('--with-data', 'also what was written to the znodes, in base64: it may be secret')
    .addHelpText(
      'after',
      `
Examples:
  $ conclave log ./data
  $ conclave log --json ./data/version-2/log.1 | tail
  $ conclave log --follow --json ./data | jq .change.path`,
    )
    .action(showLog)
}

async function showLog(path: string, options: LogOptions): Promise<void> {
  const { followLog, inspectLog } = await import('@conclave/server')
  const out = await LineWriter.open(undefined)
  const print = (transaction: LoggedTransaction): void => {
    out.push(options.json === true ? JSON.stringify(transaction) : describe(transaction))
  }
  const withData = options.withData === true
  if (options.follow === true) {
    tellOfWaiting(path)
    const signal = AbortSignal.any([interruptSignal(), out.failed])
    await followLog(path, print, { withData, signal })
    return out.end()
  }
  const ends = await inspectLog(path, print, { withData })
  await out.end()
  for (const { path: file, endOffset, torn } of ends) {
    if (torn)
      say(`${file} has a torn end behind offset ${endOffset}: it was being written when its server died`)
  }
}

/** Whoever names the wrong folder is to know why nothing comes. Throws `UsageError` where there is none. */
function tellOfWaiting(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new UsageError(`${path} is no folder: --follow takes a data folder of ZooKeeper`)
  }
  if (basename(path) === 'version-2' || existsSync(join(path, 'version-2'))) return
  say(`There is no log in ${path} yet: waiting for one.`)
}

function describe({ zxid, time, sessionId, change }: LoggedTransaction): string {
  return `${zxid.padEnd(10)}  ${time}  session ${sessionId.padEnd(18)}  ${describeChange(change)}`
}

function describeChange(change: LoggedChange): string {
  const { type, path, dataLength, data, version, timeoutMs, ttlMs, ephemeral, paths, error, changes } = change
  const words: (string | undefined)[] = [
    type,
    path,
    ephemeral === true ? 'ephemeral' : undefined,
    ttlMs === undefined ? undefined : `ttl ${ttlMs} ms`,
    version === undefined ? undefined : `version ${version}`,
    dataLength === undefined ? undefined : count(dataLength, 'byte'),
    data,
    timeoutMs === undefined ? undefined : `timeout ${timeoutMs} ms`,
    paths === undefined || paths.length === 0 ? undefined : `with ${paths.join(' ')}`,
    error,
    changes === undefined ? undefined : `[${changes.map(describeChange).join('; ')}]`,
  ]
  return words.filter(word => word !== undefined).join(' ')
}
