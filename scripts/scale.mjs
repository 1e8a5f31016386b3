// Moves a data folder with many znodes and sessions between the embedded server and Apache ZooKeeper, and compares all of
// it: `npm run test:scale -- --znodes 1000000 --sessions 3000`.

import { readNumbers, runTests } from './long-test.mjs'

const { znodes, sessions } = readNumbers({ znodes: 1_000_000, sessions: 3_000 })
runTests('storage-compatibility', 'znodes and', { CONCLAVE_ZNODES: znodes, CONCLAVE_SESSIONS: sessions })
