import { Command } from 'commander'
import { addServerOptions } from './server/options.ts'
import { restartCommand } from './server/restart.ts'
import { serve, startForegroundCommand } from './server/start-foreground.ts'
import { startCommand } from './server/start.ts'
import { statusCommand } from './server/status.ts'
import { stopCommand } from './server/stop.ts'

/** `conclave server`: the embedded ZooKeeper server, in the foreground, or as what `zkServer.sh` does with Apache's. */
export function serverCommand(): Command {
  return addServerOptions(new Command('server'))
    .description('run the embedded ZooKeeper server until Ctrl-C, or in the background')
    .action((_options: object, command: Command) => serve(command))
    .addCommand(startForegroundCommand())
    .addCommand(startCommand())
    .addCommand(stopCommand())
    .addCommand(restartCommand())
    .addCommand(statusCommand())
    .addHelpText(
      'after',
      `
Examples:
  $ conclave server --data-dir ./zookeeper --port 2181
  $ conclave server start --config zoo.cfg
  $ conclave server status --config zoo.cfg`,
    )
}
