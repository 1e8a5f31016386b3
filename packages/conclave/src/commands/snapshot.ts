import type { InspectedSnapshot, SnapshotZnode } from '@conclave/server'
import { Command } from 'commander'
import { LineWriter } from '../line-writer.ts'
import { count } from '../output.ts'

interface SnapshotOptions {
  readonly json?: true
  readonly withData?: true
}

/** `conclave snapshot`: the tree that a server has written, as text or as NDJSON. */
export function snapshotCommand(): Command {
  return new Command('snapshot')
    .description('show a snapshot of a ZooKeeper server, of this one or of Apache ZooKeeper')
    .argument('<path>', "a data folder (its newest snapshot), or one file 'snapshot.<zxid>' of it")
    .option('--json', 'NDJSON, for programs: the snapshot with its sessions, then one object per znode')
    .option('--with-data', 'also what the znodes hold, in base64: it may be secret')
    .addHelpText(
      'after',
      '\nExamples:\n  $ conclave snapshot ./data\n  $ conclave snapshot --json ./data | tail -n +2 | head',
    )
    .action(showSnapshot)
}

async function showSnapshot(path: string, options: SnapshotOptions): Promise<void> {
  const { inspectSnapshot } = await import('@conclave/server')
  const out = await LineWriter.open(undefined)
  const snapshot = await inspectSnapshot(path, { withData: options.withData === true })
  const { znodes, ...head } = snapshot
  if (options.json === true) out.push(JSON.stringify(head))
  else for (const line of describeHead(snapshot)) out.push(line)
  for (const znode of znodes()) out.push(options.json === true ? JSON.stringify(znode) : describe(znode))
  await out.end()
}

function describeHead({ path, zxid, sessions }: InspectedSnapshot): string[] {
  return [
    `${path}: the tree at zxid ${zxid}, or a little later, with ${count(sessions.length, 'session')}`,
    ...sessions.map(({ sessionId, timeoutMs }) => `session ${sessionId}  timeout ${timeoutMs} ms`),
  ]
}

function describe({ path, dataLength, data, version, mzxid, mtime, ephemeralOwner }: SnapshotZnode): string {
  const owner = ephemeralOwner === undefined ? '' : `  ephemeral, of session ${ephemeralOwner}`
  const text = data === undefined ? '' : `  ${data}`
  return `${path}  ${count(dataLength, 'byte')}  version ${version}  changed by ${mzxid} at ${mtime}${owner}${text}`
}
