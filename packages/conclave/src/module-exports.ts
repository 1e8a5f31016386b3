// The body of a thread that loads a task module and tells what is in it.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parentPort, workerData } from 'node:worker_threads'
import { messageOf } from '@conclave/core'
import { oneLine } from './one-line.ts'

/** What a task module has. */
export interface ModuleExports {
  /** The names of its exported functions, sorted. */
  readonly functions: readonly string[]
  /** Why it could not be loaded. */
  readonly error?: string
}

const { module, imports } = workerData as { readonly module: string; readonly imports: readonly string[] }

// Nothing is left that could let the module go on.
process.once('beforeExit', () => {
  tell({ functions: [], error: 'it waits for something that never comes (a top-level await)' })
})
// Not awaited here: then Node.js would warn of this module where a task module never settles.
void load().then(tell)

function tell(exports: ModuleExports): void {
  parentPort!.postMessage(exports)
}

async function load(): Promise<ModuleExports> {
  try {
    for (const url of imports) await import(url)
    const exported = (await import(module)) as Record<string, unknown>
    const functions = Object.keys(exported).filter(name => typeof exported[name] === 'function')
    return { functions: functions.sort() }
  } catch (error) {
    return { functions: [], error: describe(error) }
  }
}

/** In one line, and for a syntax error with the place, which is not in its message. */
function describe(error: unknown): string {
  const message = oneLine(messageOf(error))
  if (!(error instanceof SyntaxError)) return message
  const place = firstPlace(error.stack ?? '') ?? firstPlace(checkSyntax())
  return place === undefined ? message : `${message} (${place})`
}

/** `/path/tasks.js:3`, where the text begins with that, or with it as a URL. */
function firstPlace(text: string): string | undefined {
  const [, url, line] = /^(?:file:\/\/)?(\/.*?|[A-Za-z]:\\.*?)(?:\?.*)?:(\d+)\n/.exec(text) ?? []
  return url === undefined ? undefined : `${decodeURIComponent(url)}:${line}`
}

/** What Node.js says of the module; for some errors of its syntax only a process of its own tells where they are. */
function checkSyntax(): string {
  return spawnSync(process.execPath, ['--check', fileURLToPath(module)], { encoding: 'utf8' }).stderr
}
