// Sends Apache ZooKeeper and the embedded server the same random operations until their answers differ, or Ctrl-C:
// `npm run test:differential -- --seed 7`. With `--operations N` it ends after so many; without `--seed` it takes one at
// random, and says which.

import { randomInt } from 'node:crypto'
import { readNumbers, runTests } from './long-test.mjs'

const { seed, operations } = readNumbers({ seed: randomInt(2 ** 31), operations: Infinity })
console.log(`seed ${seed}`)
runTests('differential', 'with reconnects', { CONCLAVE_SEED: seed, CONCLAVE_OPERATIONS: operations })
