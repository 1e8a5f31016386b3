import { existsSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { UsageError } from '@conclave/core'
import { builtModule } from './built-module.ts'
import type { ModuleExports } from './module-exports.ts'
import { threadImportsFor } from './thread-imports.ts'

const MODULE_ENDING = /\.[cm]?[jt]sx?$/

/** The file of a task module. Throws `UsageError` where there is none at this path. */
export function parseTaskModule(path: string): URL {
  const module = pathToFileURL(path)
  if (path === '' || !existsSync(module)) {
    throw new UsageError(`there is no task module '${path}': name a JavaScript or TypeScript file`)
  }
  if (!statSync(module).isFile() || !MODULE_ENDING.test(module.pathname)) {
    throw new UsageError(`'${path}' cannot be a task module: name a JavaScript or TypeScript file`)
  }
  return module
}

/** Reads `./tasks.js#countWords`. Throws `UsageError` where there is no such file; the function is not looked for. */
export function parseTaskReference(text: string): { readonly module: URL; readonly functionName: string } {
  const hash = text.lastIndexOf('#')
  const path = hash === -1 ? text : text.slice(0, hash)
  const functionName = hash === -1 ? '' : text.slice(hash + 1)
  const module = parseTaskModule(path)
  if (functionName === '') throw new UsageError(`'${text}' names no function: write '${path}#' and its name`)
  return { module, functionName }
}

/** The name of a task in a cluster, `tasks#countWords`, for what may also be written as a path. */
export function taskNameOf(text: string): string {
  const hash = text.lastIndexOf('#')
  if (hash === -1) return text
  return `${basename(text.slice(0, hash)).replace(MODULE_ENDING, '')}${text.slice(hash)}`
}

/**
 * Loads a module in a thread of its own, as the nodes will, to see whether the function is there: before anything is
 * started. Throws `UsageError`.
 */
export async function checkTaskExists(module: URL, functionName: string): Promise<void> {
  const path = fileURLToPath(module)
  const { functions, error } = await moduleExports(module)
  if (error !== undefined) throw new UsageError(`the task module ${path} cannot be loaded: ${error}`)
  if (functions.includes(functionName)) return
  const those = functions.length === 0 ? 'it exports no function' : `it exports ${functions.join(', ')}`
  throw new UsageError(`the task module ${path} has no function '${functionName}': ${those}`)
}

function moduleExports(module: URL): Promise<ModuleExports> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(builtModule('module-exports'), {
      workerData: { module: module.href, imports: threadImportsFor([module]) },
      // What the module prints is for people; standard output is for results.
      stdout: true,
    })
    worker.stdout.pipe(process.stderr)
    worker.once('message', (exports: ModuleExports) => {
      resolve(exports)
      void worker.terminate()
    })
    worker.once('error', reject)
    worker.once('exit', () => resolve({ functions: [], error: 'it ends the process' }))
  })
}
