// How long `npm start` takes on an installed clone: to the elected leader, and to the first result.
//
//     npm run bench:startup -- [runs]

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const runs = Number(process.argv[2] ?? 10)
const root = fileURLToPath(new URL('../../..', import.meta.url))

async function run(): Promise<{ leaderMs: number; resultMs: number }> {
  const startedAtMs = performance.now()
  const npm = spawn('npm', ['start', '--', '--exit'], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  let leaderMs = NaN
  let resultMs = NaN
  for await (const line of createInterface({ input: npm.stdout })) {
    const afterMs = performance.now() - startedAtMs
    if (Number.isNaN(leaderMs) && line.includes('is the elected leader')) leaderMs = afterMs
    if (Number.isNaN(resultMs) && / of [\d,]+ tasks done/.test(line)) resultMs = afterMs
  }
  return { leaderMs, resultMs }
}

const leader: number[] = []
const result: number[] = []
for (let i = 0; i < runs; i++) {
  const { leaderMs, resultMs } = await run()
  leader.push(leaderMs)
  result.push(resultMs)
}
for (const [what, times] of [
  ['elected leader', leader],
  ['first quarter of the results', result],
] as const) {
  times.sort((a, b) => a - b)
  const [best, median, worst] = [times[0]!, times[runs >> 1]!, times.at(-1)!].map(Math.round)
  console.log(`from npm start to the ${what}: ${median} ms (median of ${runs}; ${best} to ${worst})`)
}
