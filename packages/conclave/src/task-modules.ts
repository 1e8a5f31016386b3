import { existsSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { orAborted, UsageError } from '@conclave/core'
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

/** The files of task modules. Throws `UsageError` likewise, and where two would give their tasks the same names. */
export function parseTaskModules(paths: readonly string[]): URL[] {
  const modules = new Map<string, URL>()
  for (const path of paths) {
    const module = parseTaskModule(path)
    const name = moduleNameOf(path)
    const other = modules.get(name)
    if (other !== undefined && other.href !== module.href) {
      throw new UsageError(
        `the task modules ${fileURLToPath(other)} and ${fileURLToPath(module)} are both called '${name}': rename one`,
      )
    }
    modules.set(name, module)
  }
  return [...modules.values()]
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
  return `${moduleNameOf(text.slice(0, hash))}${text.slice(hash)}`
}

function moduleNameOf(path: string): string {
  return basename(path).replace(MODULE_ENDING, '')
}

/**
 * Loads a module in a thread of its own, as the nodes will, to see whether the function is there: before anything is
 * started. Throws `UsageError`, and the signal's reason.
 */
export async function checkTaskExists(
  module: URL,
  functionName: string,
  signal?: AbortSignal,
): Promise<void> {
  const functions = await taskFunctions(module, signal)
  if (functions.includes(functionName)) return
  const path = fileURLToPath(module)
  const those = functions.length === 0 ? 'it exports no function' : `it exports ${functions.join(', ')}`
  throw new UsageError(`the task module ${path} has no function '${functionName}': ${those}`)
}

/** Loads modules likewise, to see whether the nodes will be able to. Throws `UsageError`, and the signal's reason. */
export async function checkTaskModules(modules: readonly URL[], signal?: AbortSignal): Promise<void> {
  await Promise.all(modules.map(module => taskFunctions(module, signal)))
}

async function taskFunctions(module: URL, signal?: AbortSignal): Promise<readonly string[]> {
  const { functions, error } = await moduleExports(module, signal)
  if (error === undefined) return functions
  throw new UsageError(`the task module ${fileURLToPath(module)} cannot be loaded: ${error}`)
}

async function moduleExports(module: URL, signal: AbortSignal | undefined): Promise<ModuleExports> {
  const worker = new Worker(builtModule('module-exports'), {
    workerData: { module: module.href, imports: threadImportsFor([module]) },
    // What the module prints is for people; standard output is for results.
    stdout: true,
  })
  worker.stdout.pipe(process.stderr)
  const told = new Promise<ModuleExports>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', code =>
      resolve({ functions: [], error: `it calls process.exit(${code}) while it is loaded` }),
    )
  })
  try {
    return await orAborted(told, signal)
  } finally {
    // It may be in the middle of an endless loop.
    await worker.terminate()
  }
}
