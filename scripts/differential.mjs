// Sends Apache ZooKeeper and the embedded server the same random operations until their answers differ, or Ctrl-C:
// `npm run test:differential -- --seed 7`. With `--operations N` it ends after so many; without `--seed` it takes one at
// random, and says which.

import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = fileURLToPath(new URL('..', import.meta.url))
const vitest = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url))
const { values } = parseArgs({ options: { seed: { type: 'string' }, operations: { type: 'string' } } })
const seed = values.seed ?? String(randomInt(2 ** 31))
console.log(`seed ${seed}`)
const { status } = spawnSync(
  process.execPath,
  [vitest, 'run', '--project', 'system', 'test/differential', '-t', 'with reconnects'],
  {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, CONCLAVE_SEED: seed, CONCLAVE_OPERATIONS: values.operations ?? 'Infinity' },
  },
)
process.exitCode = status ?? 1
