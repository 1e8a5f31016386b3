import { resolve } from 'node:path'
import { Option, type Command } from 'commander'
import { defaultDataFolder } from '../../default-data-folder.ts'
import { wholeNumber } from '../../options.ts'
import type { ServerSettings } from '../../server/settings.ts'

/** What every command of `conclave server` takes; they are options of that command, and may stand anywhere. */
interface ServerOptions {
  readonly dataDir?: string
  readonly config?: string
  readonly host?: string
  readonly port?: number
  readonly log?: string
  readonly verbose?: true
}

export function addServerOptions(command: Command): Command {
  return command
    .option('-d, --data-dir <folder>', "where its data is kept (default: this project's own folder)")
    .option('--config <file>', "a 'zoo.cfg'; the other options win over what it says")
    .option('--host <address>', 'where it listens; 0.0.0.0 for every interface (default: 127.0.0.1)')
    .addOption(
      new Option('-p, --port <number>', 'where it listens; 0 for any that is free (default: 2181)').argParser(
        wholeNumber(0, 65_535),
      ),
    )
}

export function logOption(): Option {
  return new Option('--log <file>', "where its log goes (default: 'conclave-server.log' in the data folder)")
}

/** The absolute path of the data folder that the options of a command name. */
export async function folderOf(command: Command): Promise<string> {
  const { dataDir, config } = command.optsWithGlobals<ServerOptions>()
  if (dataDir !== undefined) return resolve(dataDir)
  if (config === undefined) return defaultDataFolder()
  const { readDataDir } = await import('@conclave/server')
  return resolve(readDataDir(config))
}

/** The settings that the options of a command name. */
export function settingsOf(command: Command): ServerSettings {
  const { config, host, port, log, verbose } = command.optsWithGlobals<ServerOptions>()
  return {
    cwd: process.cwd(),
    ...(config === undefined ? {} : { config: resolve(config) }),
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(log === undefined ? {} : { log: resolve(log) }),
    ...(verbose === undefined ? {} : { verbose }),
  }
}
