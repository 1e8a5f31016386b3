import { createRequire } from 'node:module'
import { Command } from 'commander'
import { joinCommand } from './commands/join.ts'
import { logCommand } from './commands/log.ts'
import { runCommand } from './commands/run.ts'
import { serverCommand } from './commands/server.ts'
import { snapshotCommand } from './commands/snapshot.ts'
import { statusCommand } from './commands/status.ts'
import { upCommand } from './commands/up.ts'
import { report } from './output.ts'

/** The command line. Resolves to the exit code; every error has been reported by then. */
export async function main(argv: readonly string[]): Promise<number> {
  const program = new Command('conclave')
    .description('Hand a task to a cluster and get the whole result back, whatever dies.')
    .version((createRequire(import.meta.url)('../package.json') as { version: string }).version)
    .option('--verbose', 'show the log, and the stack of an error')
    .showHelpAfterError("('conclave --help' and 'conclave <command> --help' show what there is)")
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
  const commands = [
    upCommand,
    runCommand,
    joinCommand,
    statusCommand,
    serverCommand,
    logCommand,
    snapshotCommand,
  ]
  for (const make of commands) {
    const command = make()
    program.addCommand(command.copyInheritedSettings(program))
    for (const part of command.commands) part.copyInheritedSettings(program)
  }
  // Told by `LineWriter`, which every command writes its data with.
  process.stdout.on('error', () => {})
  try {
    await program.parseAsync(argv)
    return 0
  } catch (error) {
    return report(error, program.opts<{ verbose?: boolean }>().verbose === true)
  }
}
