import { spawn, type ChildProcess } from 'node:child_process'
import type { Writable } from 'node:stream'

/**
 * Kept as text because it has to run as it is, under any loader. It reads lines `+kill 123`, `-kill 123`,
 * `+remove PATH`, `-remove PATH`; at the end of its input, which is the end of this process however it came, it
 * kills and then removes what is still on its lists.
 */
const PROGRAM = `
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => {})
  process.on('SIGHUP', () => {})
  const lists = { kill: new Set(), remove: new Set() }
  require('node:readline').createInterface({ input: process.stdin })
    .on('line', line => {
      const space = line.indexOf(' ')
      const list = lists[line.slice(1, space)]
      if (line[0] === '+') list.add(line.slice(space + 1))
      else list.delete(line.slice(space + 1))
    })
    .on('close', () => {
      for (const pid of lists.kill) try { process.kill(Number(pid), 'SIGKILL') } catch {}
      for (const path of lists.remove) {
        try { require('node:fs').rmSync(path, { recursive: true, force: true, maxRetries: 5 }) } catch {}
      }
    })
`

let input: Writable | undefined

/**
 * Sees to it that nothing outlives this process: a helper process of its own, which learns of this one's death by
 * the end of a pipe and so works after SIGKILL as well. It keeps neither this process nor a test run alive.
 */
function reaper(): Writable {
  if (input === undefined) {
    const child: ChildProcess = spawn(process.execPath, ['-e', PROGRAM], {
      stdio: ['pipe', 'ignore', 'ignore'],
      // Out of reach of the Ctrl-C that ends this process.
      detached: true,
    })
    child.unref()
    input = child.stdin!
    input.on('error', () => {})
    ;(input as Writable & { unref(): void }).unref()
  }
  return input
}

/** From now on the process is killed when this one dies. The function returned takes that back. */
export function killAtExit(pid: number): () => void {
  return enlist('kill', String(pid))
}

/** From now on the folder is removed when this process dies. The function returned takes that back. */
export function removeAtExit(path: string): () => void {
  return enlist('remove', path)
}

function enlist(list: 'kill' | 'remove', entry: string): () => void {
  reaper().write(`+${list} ${entry}\n`)
  return () => reaper().write(`-${list} ${entry}\n`)
}
