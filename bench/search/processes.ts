import { readdirSync, readFileSync } from 'node:fs'

/** Clock ticks per second in /proc/<pid>/stat: `sysconf(_SC_CLK_TCK)`, which is 100 on Linux. */
const TICKS_PER_SECOND = 100

/** The CPU time that this process and everything it has started has used so far, in seconds. Linux only. */
export function cpuSecondsOfTree(): number {
  const parents = new Map<number, { parent: number; seconds: number }>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      // The command, in parentheses, may hold spaces; fields are counted from behind it.
      const fields = readFileSync(`/proc/${name}/stat`, 'latin1').split(') ')[1]!.split(' ')
      const seconds = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
      parents.set(Number(name), { parent: Number(fields[1]), seconds })
    } catch {
      // It ended while the list was read.
    }
  }
  let total = 0
  for (const [pid, { seconds }] of parents) if (isBelow(pid, parents)) total += seconds
  return total
}

function isBelow(pid: number, parents: ReadonlyMap<number, { parent: number }>): boolean {
  for (let at: number | undefined = pid; at !== undefined && at !== 0; at = parents.get(at)?.parent) {
    if (at === process.pid) return true
  }
  return false
}
