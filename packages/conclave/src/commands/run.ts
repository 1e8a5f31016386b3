import { Command, Option } from 'commander'
import { interruptSignal } from '../interrupt.ts'
import { nodesOption, serversOption, slotsOption, verboseLogger, wholeNumber } from '../options.ts'

interface RunOptions {
  readonly input: readonly string[]
  readonly connect?: string
  readonly cluster?: string
  readonly nodes: number
  readonly slots?: number
  readonly unordered?: true
  readonly envelope?: true
  readonly output?: string
  readonly maxAttempts: number
}

/** `conclave run`: one job, from its inputs to its results. */
export function runCommand(): Command {
  return new Command('run')
    .description(
      'run an exported function of a module over many inputs, one task each, and write the results as NDJSON',
    )
    .argument('<task>', "'./tasks.js#countWords': a function of a JavaScript or TypeScript file")
    .addOption(
      new Option(
        '-i, --input <pattern>',
        'the files that match, each a task that gets the path as a string; may be repeated',
      )
        .default([], 'each line of standard input is the JSON value that a task gets')
        .argParser((pattern: string, patterns: readonly string[]) => [...patterns, pattern]),
    )
    .option('-o, --output <file>', 'where the results go (default: standard output)')
    .option('--unordered', 'write results as they come, not in the order of the inputs')
    .option(
      '--envelope',
      'write {"index", "value" or "error", "attempt", "worker"} for each task, failed ones too',
    )
    .addOption(
      new Option('--max-attempts <count>', 'how often a task that throws is tried')
        .default(3)
        .argParser(wholeNumber(1)),
    )
    .addOption(
      serversOption('the servers of a cluster that runs', 'a cluster is started on this machine for the job'),
    )
    .option('--cluster <name>', "the name of that cluster (default: 'default')")
    .addOption(nodesOption())
    .addOption(slotsOption())
    .addHelpText(
      'after',
      `
Examples:
  $ conclave run ./tasks.js#countWords --input 'docs/**/*.md'
  $ seq 1 1000 | conclave run ./tasks.ts#square --output squares.ndjson
  $ conclave run tasks#countWords --input 'docs/**/*.md' --connect zk1:2181,zk2:2181/app --cluster words`,
    )
    .action(run)
}

async function run(task: string, options: RunOptions, command: Command): Promise<void> {
  const { runJob } = await import('../run-job.ts')
  await runJob({ ...options, task, ...verboseLogger(command), signal: interruptSignal() })
}
