import { nodeClock, sleep, UsageError } from '@conclave/core'
import { Command } from 'commander'
import { interruptSignal } from '../../interrupt.ts'
import { say } from '../../output.ts'
import { claimStart, releaseStart } from '../../server/claim.ts'
import { describeServer, findServer, type FoundServer } from '../../server/find.ts'
import { savedSettings, type ServerSettings } from '../../server/settings.ts'
import { checkSettings, startServer } from '../../server/start.ts'
import { stopServer } from '../../server/stop.ts'
import { folderOf, logOption, settingsOf } from './options.ts'
import { tellStarted } from './start.ts'

/** How often it is looked whether others have done with trying to start it. */
const POLL_MS = 10

/** `conclave server restart`: ends the server of a folder, and starts it as it was started, in the background. */
export function restartCommand(): Command {
  return new Command('restart')
    .description('stop and start it with the settings it had, and what the options say otherwise')
    .addOption(logOption())
    .addHelpText('after', '\nExample:\n  $ conclave server restart --data-dir ./zookeeper')
    .action((_options: object, command: Command) => restart(command))
}

async function restart(command: Command): Promise<void> {
  const signal = interruptSignal()
  const folder = await folderOf(command)
  const found = await findServer(folder)
  const settings = settingsFor(folder, found, settingsOf(command))
  enter(settings.cwd)
  // A configuration that has become wrong must not cost the server that runs.
  await checkSettings(folder, settings)
  // Whoever uses the server as `embedded:` would start it, with settings of its own, as soon as it has gone.
  while (!(await claimStart(folder))) await sleep(nodeClock, POLL_MS, signal)
  try {
    if (found !== undefined) {
      await stopServer(found, signal)
      say(`Stopped process ${found.identity.pid}.`)
    }
    tellStarted(folder, settings, await startServer(folder, settings, signal))
  } finally {
    releaseStart(folder)
  }
}

function settingsFor(folder: string, found: FoundServer | undefined, given: ServerSettings): ServerSettings {
  const saved = savedSettings(folder, found?.address)
  if (found !== undefined && (found.address === undefined || saved === undefined)) {
    throw new UsageError(
      `it is not known how the server on ${folder} was started (${describeServer(found)}): stop it, and start it as it should be`,
    )
  }
  if (saved === undefined) return given
  if (given.config === undefined) return { ...saved, ...given, cwd: saved.cwd }
  // A new configuration comes with its own address.
  const { host: _host, port: _port, ...others } = saved
  return { ...others, ...given }
}

/** Relative paths in the configuration mean what they meant. */
function enter(folder: string): void {
  try {
    process.chdir(folder)
  } catch (error) {
    throw new UsageError(
      `the folder ${folder}, where the server was started, cannot be entered: stop it, and start it as it should be`,
      error,
    )
  }
}
