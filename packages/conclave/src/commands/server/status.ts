import { ConclaveError, formatEndpoint } from '@conclave/core'
import { Command } from 'commander'
import { Exit, ExitCode } from '../../exit.ts'
import { LineWriter } from '../../line-writer.ts'
import { duration } from '../../output.ts'
import { serverStatus, type ServerStatus } from '../../server/status.ts'
import { folderOf, settingsOf } from './options.ts'

interface StatusOptions {
  readonly json?: true
}

/** `conclave server status`: whether a server runs on a folder, and how it is. */
export function statusCommand(): Command {
  return new Command('status')
    .description('show whether it runs, and what it says of itself; exit code 1 unless it runs and answers')
    .option('--json', 'as one JSON object, for programs')
    .addHelpText('after', '\nExample:\n  $ conclave server status --data-dir ./zookeeper --json')
    .action(status)
}

async function status({ json }: StatusOptions, command: Command): Promise<void> {
  const folder = await folderOf(command)
  const found = await serverStatus(folder, settingsOf(command).config)
  if (found.state === 'stopped' && json === undefined) {
    throw new ConclaveError(`no server runs on ${folder}`, { code: 'NO_SERVER' })
  }
  const output = await LineWriter.open(undefined)
  await output.write(json ? JSON.stringify(found, undefined, 2) : describe(found))
  await output.end()
  if (found.state !== 'running') throw new Exit(ExitCode.failure)
}

const STATES: Readonly<Record<ServerStatus['state'], string>> = {
  running: 'running',
  notListening: 'its process lives, but does not listen: it is starting, or ending',
  notAnswering: 'its process lives, but does not answer',
  stopped: 'stopped',
}

/** In the form of Apache's `srvr`, so that scripts find the mode where they look for it. */
function describe(found: ServerStatus): string {
  const { state, dataDir, pid, host, port, uptimeMs, mode, sessions, znodes, zxid } = found
  const facts: Record<string, string | number | undefined> = {
    Server: STATES[state],
    Process: pid,
    Address: host === undefined || port === undefined ? undefined : formatEndpoint({ host, port }),
    Uptime: uptimeMs === undefined ? undefined : duration(uptimeMs),
    Mode: mode,
    Sessions: sessions,
    'Node count': znodes,
    Zxid: zxid,
    Data: dataDir,
  }
  return Object.entries(facts)
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]))
    .join('\n')
}
