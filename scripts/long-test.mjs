import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

/** Whole numbers by the names of options, each with its default; ends the process where something else was said. */
export function readNumbers(defaults) {
  const names = Object.keys(defaults)
  try {
    const options = Object.fromEntries(names.map(name => [name, { type: 'string' }]))
    const { values } = parseArgs({ options })
    const numbers = { ...defaults }
    for (const [name, value] of Object.entries(values)) {
      const text = String(value)
      if (!/^\d+$/.test(text)) throw new Error(`--${name} must be a whole number, not ${text}`)
      numbers[name] = Number(text)
    }
    return numbers
  } catch (error) {
    console.error(`${error.message}\nusage: ${names.map(name => `[--${name} N]`).join(' ')}`)
    process.exit(2)
  }
}

/** Runs the system tests of a folder whose titles have those words, with that environment; takes on the exit code. */
export function runTests(folder, words, env) {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const vitest = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url))
  const { status } = spawnSync(
    process.execPath,
    [vitest, 'run', '--project', 'system', `test/${folder}`, '-t', words],
    { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } },
  )
  process.exitCode = status ?? 1
}
