import { Command } from 'commander'
import { aborted, interruptSignal } from '../../interrupt.ts'
import { verboseLogger } from '../../options.ts'
import { say } from '../../output.ts'
import { readServerAddress } from '../../server/address.ts'
import { saveSettings } from '../../server/settings.ts'
import { folderOf, settingsOf } from './options.ts'

/** `conclave server start-foreground`. */
export function startForegroundCommand(): Command {
  return new Command('start-foreground')
    .description("run it until Ctrl-C; what 'conclave server' does by itself")
    .addHelpText('after', '\nExample:\n  $ conclave server start-foreground --config zoo.cfg')
    .action((_options: object, command: Command) => serve(command))
}

/** The server in this process, until Ctrl-C. */
export async function serve(command: Command): Promise<void> {
  const signal = interruptSignal()
  const folder = await folderOf(command)
  const settings = settingsOf(command)
  const { EmbeddedServer, readServerOptions } = await import('@conclave/server')
  const { config, host, port } = settings
  const { options, warnings } = await readServerOptions({ config, dataDir: folder, host, port })
  for (const warning of warnings) say(`Warning: ${warning}`)
  const server = await EmbeddedServer.start({ ...options, ...verboseLogger(command) })
  const address = readServerAddress(folder)
  if (address !== undefined) saveSettings(folder, settings, address)
  say(`Listening on ${server.connectString}, with its data in ${folder}. Ctrl-C ends it.`)
  await Promise.race([aborted(signal), server.closed])
  await server.close()
}
