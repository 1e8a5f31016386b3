// The tasks of the cluster's tests: plain JavaScript, because threads of every Node.js version run it as it is.

import { existsSync } from 'node:fs'
// oxlint-disable-next-line no-restricted-imports -- a task that waits, as a user would write it
import { setTimeout as delay } from 'node:timers/promises'

export const double = number => number * 2

export const contextOf = (_input, context) => ({ ...context, fencingToken: String(context.fencingToken) })

export const nothing = () => {}

export async function waitsForFile(path) {
  while (!existsSync(path)) await delay(5)
  return path
}

export function fails(input) {
  throw new RangeError(`no luck with ${input}`)
}

export const failsOnce = (input, { attempt }) => {
  if (attempt === 1) throw new Error('not at once')
  return [input, attempt]
}

export function exits(input) {
  if (input === 'exit') process.exit(3)
  return input
}

export function failsLater(input) {
  // oxlint-disable-next-line no-restricted-globals -- the bug in a user's task that the test is about
  setTimeout(() => {
    throw new Error('later')
  })
  return delay(1_000, input)
}

export const large = bytes => 'x'.repeat(bytes)

export const burns = milliseconds => {
  const end = performance.now() + milliseconds
  while (performance.now() < end);
  return milliseconds
}

export function killsProcess(input) {
  if (input === 'kill') process.kill(process.pid, 'SIGKILL')
  return input
}

export function throwsLong(characters) {
  throw new Error('x'.repeat(characters))
}
