import { Command } from 'commander'
import { findServer } from '../../server/find.ts'
import { interruptSignal } from '../../interrupt.ts'
import { say } from '../../output.ts'
import { stopServer } from '../../server/stop.ts'
import { folderOf } from './options.ts'

/** `conclave server stop`: ends the server of a folder, whoever started it. */
export function stopCommand(): Command {
  return new Command('stop')
    .description('end it in order; returns when its process has gone')
    .addHelpText('after', '\nExample:\n  $ conclave server stop --data-dir ./zookeeper')
    .action((_options: object, command: Command) => stop(command))
}

async function stop(command: Command): Promise<void> {
  const signal = interruptSignal()
  const folder = await folderOf(command)
  const found = await findServer(folder)
  // As with `zkServer.sh`, that is no failure: what was asked for is so.
  if (found === undefined) return say(`No server runs on ${folder}.`)
  await stopServer(found, signal)
  say(`Stopped process ${found.identity.pid}, which served ${folder}.`)
}
