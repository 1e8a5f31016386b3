import { readFileSync, writeFileSync } from 'node:fs'
import type { ServerAddress } from '@conclave/server'
import { serverFile } from './folder.ts'

/** How the server of a folder was started, so that it can be started so again. No secret is among it. */
export interface ServerSettings {
  /** What relative paths in the configuration are relative to. */
  readonly cwd: string
  /** The absolute path of its `zoo.cfg`. */
  readonly config?: string
  readonly host?: string
  readonly port?: number
  /** The absolute path of its log. Default: that in the folder. */
  readonly log?: string
  readonly verbose?: true
}

interface SavedSettings {
  readonly settings: ServerSettings
  /** Which start of which process it was. */
  readonly pid: number
  readonly startedAt: string
}

/** Remembers how the server at this address was started. Where that fails, `restart` will not know it. */
export function saveSettings(folder: string, settings: ServerSettings, address: ServerAddress): void {
  const { pid, startedAt, port } = address
  // Of any port that was free, its clients know the one that it got.
  const kept = settings.port === 0 ? { ...settings, port } : settings
  const saved: SavedSettings = { settings: kept, pid, startedAt }
  try {
    writeFileSync(serverFile(folder, 'settings'), `${JSON.stringify(saved)}\n`)
  } catch {
    // The disk is full, perhaps: the server, which runs, tells of that.
  }
}

/**
 * How the server at this address was started; without one, how the last one was. `undefined` where it was not started
 * by this command line, so that nobody takes the settings of another for its own.
 */
export function savedSettings(folder: string, address?: ServerAddress): ServerSettings | undefined {
  let saved: SavedSettings
  try {
    saved = JSON.parse(readFileSync(serverFile(folder, 'settings'), 'utf8')) as SavedSettings
  } catch {
    return undefined
  }
  const isOfThat =
    address === undefined || (saved.pid === address.pid && saved.startedAt === address.startedAt)
  return isOfThat ? saved.settings : undefined
}
