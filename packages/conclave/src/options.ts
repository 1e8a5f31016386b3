import { consoleLogger, type Logger } from '@conclave/core'
import { InvalidArgumentError, Option, type Command } from 'commander'
import { LOG_ENVIRONMENT_VARIABLE } from './node-log.ts'

/** The options that more than one command has, worded once. */

export function connectOption(): Option {
  return serversOption('the ZooKeeper servers', "the embedded server on this project's own folder")
}

/** As `connectOption`, with words of one's own for what is at these servers, and for what happens without them. */
export function serversOption(what: string, otherwise: string): Option {
  // A default of `undefined` is not shown by itself.
  return new Option(
    '-c, --connect <servers>',
    `${what}: 'zk1:2181,zk2:2181/chroot', or 'embedded:DIR' for the embedded server on a folder (default: ${otherwise})`,
  ).env('CONCLAVE_CONNECT')
}

export function clusterOption(): Option {
  return new Option('--cluster <name>', 'the name of the cluster').default('default')
}

export function nodesOption(): Option {
  return new Option('-n, --nodes <count>', 'how many nodes to start on this machine')
    .default(4)
    .argParser(wholeNumber(1))
}

export function slotsOption(): Option {
  return new Option('--slots <count>', 'how many tasks a node runs at one time').argParser(wholeNumber(1))
}

export function tasksOption(): Option {
  return new Option(
    '-t, --tasks <module>',
    'a JavaScript or TypeScript file whose exported functions are tasks; may be repeated',
  )
    .default([], 'none')
    .argParser((path: string, paths: string[]) => [...paths, path])
}

/** Reads a whole number of at least `min` and at most `max`. */
export function wholeNumber(min: number, max: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return text => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    const upTo = max === Number.MAX_SAFE_INTEGER ? 'up' : `to ${max}`
    throw new InvalidArgumentError(`It must be a whole number from ${min} ${upTo}.`)
  }
}

/** The `logger` option of whatever a command starts, where the user wants to see the log; nodes show theirs too. */
export function verboseLogger(command: Command): { readonly logger?: Logger } {
  if (command.optsWithGlobals<{ verbose?: boolean }>().verbose !== true) return {}
  process.env[LOG_ENVIRONMENT_VARIABLE] = '1'
  return { logger: consoleLogger('debug') }
}
