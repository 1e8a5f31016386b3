import { Command, Option } from 'commander'
import { defaultDataFolder } from '../default-data-folder.ts'
import { aborted, interruptSignal } from '../interrupt.ts'
import { verboseLogger, wholeNumber } from '../options.ts'
import { say } from '../output.ts'

interface ServerOptions {
  readonly dataDir?: string
  readonly host: string
  readonly port: number
}

/** `conclave server`: the embedded ZooKeeper server, in the foreground. */
export function serverCommand(): Command {
  return new Command('server')
    .description('run the embedded ZooKeeper server until Ctrl-C')
    .option('-d, --data-dir <folder>', "where its data is kept (default: this project's own folder)")
    .option('--host <address>', 'where it listens; 0.0.0.0 for every interface', '127.0.0.1')
    .addOption(
      new Option('-p, --port <number>', 'where it listens; 0 for any that is free')
        .default(2181)
        .argParser(wholeNumber(0, 65_535)),
    )
    .addHelpText('after', '\nExample:\n  $ conclave server --data-dir ./zookeeper --port 2181')
    .action(serve)
}

async function serve(options: ServerOptions, command: Command): Promise<void> {
  const signal = interruptSignal()
  const { EmbeddedServer } = await import('@conclave/server')
  const dataDir = options.dataDir ?? defaultDataFolder()
  const server = await EmbeddedServer.start({
    dataDir,
    host: options.host,
    port: options.port,
    ...verboseLogger(command),
  })
  say(`Listening on ${server.connectString}, with its data in ${dataDir}. Ctrl-C ends it.`)
  await Promise.race([aborted(signal), server.closed])
  await server.close()
}
