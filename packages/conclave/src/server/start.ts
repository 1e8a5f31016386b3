import { closeSync, openSync } from 'node:fs'
import { codeOf, ConclaveError, nodeClock, UsageError } from '@conclave/core'
import type { ServerAddress } from '@conclave/server'
import { EmbeddedServerError } from '../embedded-server-error.ts'
import { describeServer, findServer } from './find.ts'
import { say } from '../output.ts'
import { makeServerFolder, unusableFolder } from './folder.ts'
import { launchServer, LOCKED_EXIT_CODE, USAGE_EXIT_CODE, type Launched } from './launch.ts'
import { saveSettings, type ServerSettings } from './settings.ts'

/** A start that takes longer is told of: the folder may hold very much. */
const PATIENCE_MS = 3_000

/** Throws where a server runs on the folder, or is about to. */
export async function checkNoServer(folder: string): Promise<void> {
  const found = await findServer(folder)
  if (found !== undefined) throw serverRunsError(folder, describeServer(found))
}

/**
 * Tells what of the configuration has no effect. Throws `UsageError` for what can never work: before anything is
 * started, or stopped.
 */
export async function checkSettings(folder: string, settings: ServerSettings): Promise<void> {
  const { config, host, port, log } = settings
  if (log !== undefined) checkLog(log)
  if (config === undefined) return
  const { readServerOptions } = await import('@conclave/server')
  const { warnings } = await readServerOptions({ config, dataDir: folder, host, port })
  for (const warning of warnings) say(`Warning: ${warning}`)
}

function checkLog(log: string): void {
  try {
    closeSync(openSync(log, 'a'))
  } catch (error) {
    throw new UsageError(
      `cannot write the log ${log} (${codeOf(error)}): name another file with --log`,
      error,
    )
  }
}

/**
 * Starts a server on a folder as a process that outlives this one. Resolves when it listens; rejects in the server's own
 * words when it ends before, and with the signal's reason once it is gone.
 */
export async function startServer(
  folder: string,
  settings: ServerSettings,
  signal: AbortSignal,
): Promise<ServerAddress> {
  await makeServerFolder(folder)
  const timer = nodeClock.setTimer(PATIENCE_MS, () => say('The server still reads its data. Ctrl-C ends it.'))
  let launched: Launched
  try {
    const { cwd, log } = settings
    launched = await launchServer(folder, { args: argumentsOf(settings), cwd, log, signal })
  } catch (error) {
    throw signal.aborted ? error : unusableFolder(folder, error)
  } finally {
    timer.cancel()
  }
  if (launched.address === undefined) throw await failure(folder, launched)
  saveSettings(folder, settings, launched.address)
  return launched.address
}

/** The words of the server's own command line. */
function argumentsOf({ config, host, port, verbose }: ServerSettings): string[] {
  return [
    ...(config === undefined ? [] : ['--config', config]),
    ...(host === undefined ? [] : ['--host', host]),
    ...(port === undefined ? [] : ['--port', String(port)]),
    ...(verbose === true ? ['--verbose'] : []),
  ]
}

async function failure(
  folder: string,
  { exitCode, sentence }: Launched & { readonly address?: undefined },
): Promise<ConclaveError> {
  if (exitCode === LOCKED_EXIT_CODE) {
    const found = await findServer(folder)
    return serverRunsError(folder, found === undefined ? 'one that ends just now' : describeServer(found))
  }
  if (exitCode === USAGE_EXIT_CODE) return new UsageError(`the server cannot start: ${sentence}`)
  return new EmbeddedServerError(`the server cannot start: ${sentence}`)
}

function serverRunsError(folder: string, which: string): ConclaveError {
  return new ConclaveError(`a server already runs on ${folder}: ${which}`, { code: 'SERVER_RUNS' })
}
