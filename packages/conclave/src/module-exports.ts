// The body of a thread that loads a task module and tells what is in it.

import { parentPort, workerData } from 'node:worker_threads'

/** What a task module has. */
export interface ModuleExports {
  /** The names of its exported functions, sorted. */
  readonly functions: readonly string[]
  /** Why it could not be loaded. */
  readonly error?: string
}

const { module, imports } = workerData as { readonly module: string; readonly imports: readonly string[] }

parentPort!.postMessage(await load())

async function load(): Promise<ModuleExports> {
  try {
    for (const url of imports) await import(url)
    const exported = (await import(module)) as Record<string, unknown>
    const functions = Object.keys(exported).filter(name => typeof exported[name] === 'function')
    return { functions: functions.sort() }
  } catch (error) {
    return { functions: [], error: error instanceof Error ? error.message : String(error) }
  }
}
