import { messageOf } from '@conclave/core'
import { parseArgs } from 'node:util'

/** Wrong arguments: no figure was taken. */
const WRONG_USAGE = 3

/** An option that is a list of some of these words, separated by commas. Default: all of them, or those of `chosen`. */
export class Choice<Word extends string> {
  readonly words: readonly Word[]
  readonly chosen: readonly Word[]

  constructor(words: readonly Word[], chosen: readonly Word[] = words) {
    this.words = words
    this.chosen = chosen
  }
}

/** An option by its default: a number above 0, several of them, a text, or a choice of words. */
type Default = number | readonly number[] | string | Choice<string>

type Value<D extends Default> = D extends number
  ? number
  : D extends readonly number[]
    ? readonly number[]
    : D extends Choice<infer Word>
      ? readonly Word[]
      : string

type Values<Defaults extends Record<string, Default>> = {
  readonly [Name in keyof Defaults]: Value<Defaults[Name]>
}

/**
 * Reads the command line of a benchmark. `--help` prints what it takes and ends the process, as does, with exit code 3 and
 * the reason, what it does not take.
 */
export function readArguments<Defaults extends Record<string, Default>>(
  command: string,
  defaults: Defaults,
): Values<Defaults> {
  const usage = usageOf(command, defaults)
  try {
    const options = Object.fromEntries(Object.keys(defaults).map(name => [name, { type: 'string' as const }]))
    const values: Readonly<Record<string, unknown>> = parseArgs({
      options: { ...options, help: { type: 'boolean' } },
    }).values
    if (values['help'] === true) {
      process.stdout.write(`${usage}\n`)
      process.exit(0)
    }
    return Object.fromEntries(
      Object.entries(defaults).map(([name, byDefault]) => {
        const text = values[name]
        return [name, typeof text === 'string' ? valueOf(name, byDefault, text) : defaultOf(byDefault)]
      }),
    ) as Values<Defaults>
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n${usage}\n`)
    process.exit(WRONG_USAGE)
  }
}

function valueOf(name: string, byDefault: Default, text: string): unknown {
  if (typeof byDefault === 'number') return positive(name, text)
  if (typeof byDefault === 'string') return text
  if (!(byDefault instanceof Choice)) return text.split(',').map(each => positive(name, each))
  const chosen = text.split(',')
  const unknown = chosen.find(word => !byDefault.words.includes(word))
  if (unknown !== undefined)
    throw new Error(`--${name} is one or more of ${byDefault.words.join()}, not ${unknown}`)
  return chosen
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (!(value > 0 && Number.isFinite(value))) throw new Error(`--${name} must be above 0, not ${text}`)
  return value
}

function defaultOf(byDefault: Default): unknown {
  return byDefault instanceof Choice ? byDefault.chosen : byDefault
}

function usageOf(command: string, defaults: Record<string, Default>): string {
  const options = Object.entries(defaults).map(([name, byDefault]) => {
    const shown = byDefault instanceof Choice ? byDefault.chosen.join() : String(byDefault)
    return ` [--${name} ${shown === '' ? name.toUpperCase() : shown}]`
  })
  return `${command}${options.join('')}`
}
