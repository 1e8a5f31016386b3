import { formatEndpoint } from '@conclave/core'
import type { ServerAddress } from '@conclave/server'
import { Command } from 'commander'
import { interruptSignal } from '../../interrupt.ts'
import { say } from '../../output.ts'
import { serverFile } from '../../server/folder.ts'
import type { ServerSettings } from '../../server/settings.ts'
import { checkNoServer, checkSettings, startServer } from '../../server/start.ts'
import { folderOf, logOption, settingsOf } from './options.ts'

/** `conclave server start`: the server as a process in the background. */
export function startCommand(): Command {
  return new Command('start')
    .description('run it in the background; returns when it listens')
    .addOption(logOption())
    .addHelpText('after', '\nExample:\n  $ conclave server start --config zoo.cfg --log zookeeper.log')
    .action((_options: object, command: Command) => start(command))
}

async function start(command: Command): Promise<void> {
  const signal = interruptSignal()
  const folder = await folderOf(command)
  const settings = settingsOf(command)
  await checkNoServer(folder)
  await checkSettings(folder, settings)
  tellStarted(folder, settings, await startServer(folder, settings, signal))
}

/** Says which process it is, and where to find it and what it says. */
export function tellStarted(folder: string, { log }: ServerSettings, address: ServerAddress): void {
  say(`Started process ${address.pid}, which listens on ${formatEndpoint(address)}.`)
  say(`Its data is in ${folder}, its log in ${log ?? serverFile(folder, 'log')}.`)
}
