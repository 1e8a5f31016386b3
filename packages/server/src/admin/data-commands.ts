import { messageOf, type Disk, type DiskFile, type Logger } from '@conclave/core'
import type { HeldSnapshot } from '../snapshots.ts'
import { partsOf } from '../storage/compression/file-parts.ts'
import { refusalOf } from './admin-access.ts'
import { NOT_SERVING } from './admin-commands.ts'
import type { AdminOptions } from './admin-pages.ts'
import { jsonPage, notAllowed, type Page, type PageRequest } from './page-server.ts'
import { hex, type ServerFacts } from './server-facts.ts'

/** What the commands do with all the data. */
export interface DataActions {
  /** Takes a snapshot that needs no log. */
  takeSnapshot(): Promise<HeldSnapshot>
  /** Puts the tree of a snapshot in the place of the present one; resolves to its zxid when that is durable. */
  restore(snapshot: AsyncIterable<Uint8Array>): Promise<number>
}

interface DataCommand {
  readonly names: readonly [string, string]
  readonly method: 'GET' | 'POST'
  readonly isEnabled: boolean
  /** On the monotonic clock. */
  lastRunMs: number
  run(request: PageRequest, facts: ServerFacts): Promise<Page>
}

const SNAPSHOT_NAMES = ['snapshot', 'snap'] as const
const RESTORE_NAMES = ['restore', 'rest'] as const

/** The first name of each. */
export const DATA_COMMAND_NAMES: readonly string[] = [SNAPSHOT_NAMES[0], RESTORE_NAMES[0]]

const FILE_TYPE = 'application/octet-stream'
const TOO_MANY = 429
const FAILED = 500
const DISABLED = 503
/** As with Apache's server. (`admin.rateLimiterIntervalInMS`) */
const RATE_LIMIT_MS = 300_000

/**
 * The commands `snapshot` and `restore` of Apache's AdminServer since 3.9 (`Commands.java`): all the data in one answer, or
 * from one request. So they are for few (`refusalOf`), and not often.
 */
export class DataCommands {
  readonly #commands: readonly DataCommand[]
  readonly #rateLimitMs: number
  readonly #actions: DataActions
  readonly #logger: Logger

  constructor(
    { snapshotEnabled = true, restoreEnabled = true, rateLimitMs = RATE_LIMIT_MS }: AdminOptions,
    actions: DataActions,
    logger: Logger,
  ) {
    this.#rateLimitMs = rateLimitMs
    this.#actions = actions
    this.#logger = logger
    this.#commands = [
      {
        names: SNAPSHOT_NAMES,
        method: 'GET',
        isEnabled: snapshotEnabled,
        lastRunMs: -Infinity,
        run: ({ query }, { folder }) => this.#snapshot(query, folder.disk),
      },
      {
        names: RESTORE_NAMES,
        method: 'POST',
        isEnabled: restoreEnabled,
        lastRunMs: -Infinity,
        run: ({ body }) => this.#restore(body),
      },
    ]
  }

  /** `undefined` for the name of another command. */
  run(name: string, request: PageRequest, facts: ServerFacts | undefined): Promise<Page> | undefined {
    const command = this.#commands.find(({ names }) => names.includes(name))
    return command === undefined ? undefined : this.#run(command, request, facts)
  }

  async #run(command: DataCommand, request: PageRequest, facts: ServerFacts | undefined): Promise<Page> {
    const refuse = (status: number, error: string): Page =>
      jsonPage({ command: command.names[0], error }, { status })
    if (request.method !== command.method) return notAllowed(command.method)
    if (facts === undefined) return refuse(DISABLED, NOT_SERVING)
    const rootAcl = facts.state.tree.get('/')!.acl.acl
    const refusal = refusalOf(request, rootAcl, facts.settings.superDigest)
    if (refusal !== undefined) return refuse(refusal.status, refusal.error)
    if (!command.isEnabled) return refuse(DISABLED, 'the command is disabled')
    const nowMs = facts.clock.nowMs()
    if (nowMs < command.lastRunMs + this.#rateLimitMs) return refuse(TOO_MANY, 'it was run not long ago')
    command.lastRunMs = nowMs
    try {
      return await command.run(request, facts)
    } catch (error) {
      this.#logger.log('warn', 'a command of the pages failed', { command: command.names[0], error })
      return refuse(FAILED, messageOf(error))
    }
  }

  async #snapshot(query: URLSearchParams, disk: Disk): Promise<Page> {
    const isStreaming = (query.get('streaming') ?? 'true').toLowerCase() === 'true'
    const { path, zxid, release } = await this.#actions.takeSnapshot()
    let file: DiskFile | undefined
    const close = async (): Promise<void> => {
      release()
      await file?.close()
    }
    try {
      file = await disk.open(path, 'existing')
      const sizeBytes = await file.sizeBytes()
      const headers = { last_zxid: hex(zxid), snapshot_size: String(sizeBytes) }
      if (isStreaming) {
        return {
          headers: { ...headers, 'content-length': String(sizeBytes) },
          type: FILE_TYPE,
          body: partsOf(file),
          close,
        }
      }
      await close()
      return jsonPage({ command: SNAPSHOT_NAMES[0], error: null }, { headers })
    } catch (error) {
      await close()
      throw error
    }
  }

  async #restore(body: AsyncIterable<Uint8Array>): Promise<Page> {
    const zxid = await this.#actions.restore(body)
    return jsonPage({ last_zxid: zxid, command: RESTORE_NAMES[0], error: null })
  }
}
