import { messageOf, UsageError } from '@conclave/core'
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'

const USAGE = 'npm run soak -- [--minutes 15] [--every 10] [--lanes 2] [--folder DIR] [--habits visit,store]'

/** What a soak is told. */
export interface SoakArguments {
  readonly minutes: number
  /** Seconds of traffic before each sample. */
  readonly every: number
  /** How many visitors of each habit there are at a time. */
  readonly lanes: number
  readonly folder: string
  readonly habits: readonly string[]
}

/** Throws `UsageError` for what is no such argument; `habits` are those that there are. */
export function readArguments(habits: readonly string[]): SoakArguments {
  try {
    const { values } = parseArgs({
      options: {
        minutes: { type: 'string', default: '15' },
        every: { type: 'string', default: '10' },
        lanes: { type: 'string', default: '2' },
        folder: { type: 'string', default: tmpdir() },
        habits: { type: 'string', default: habits.join() },
      },
    })
    const chosen = values.habits.split(',')
    const unknown = chosen.find(name => !habits.includes(name))
    if (unknown !== undefined) throw new Error(`there is no habit ${unknown}, but ${habits.join(', ')}`)
    return {
      minutes: positive('minutes', values.minutes),
      every: positive('every', values.every),
      lanes: positive('lanes', values.lanes),
      folder: values.folder,
      habits: chosen,
    }
  } catch (error) {
    throw new UsageError(`${messageOf(error)}\n${USAGE}`, error)
  }
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (!(value > 0 && Number.isFinite(value))) throw new Error(`--${name} must be above 0, not ${text}`)
  return value
}
