// Moves a data folder with many znodes and sessions between the embedded server and Apache ZooKeeper, and compares all of
// it: `npm run test:scale -- --znodes 1000000 --sessions 3000`.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = fileURLToPath(new URL('..', import.meta.url))
const vitest = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url))
const { values } = parseArgs({
  options: {
    znodes: { type: 'string', default: '1000000' },
    sessions: { type: 'string', default: '3000' },
  },
})
const { status } = spawnSync(
  process.execPath,
  [vitest, 'run', '--project', 'system', 'test/storage-compatibility', '-t', 'znodes and'],
  {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, CONCLAVE_ZNODES: values.znodes, CONCLAVE_SESSIONS: values.sessions },
  },
)
process.exitCode = status ?? 1
