import type { Logger, Platform } from '@conclave/core'
import { answerFourLetterWord, type ServerFacts } from './admin/four-letter-words.ts'
import { TrafficStats } from './admin/server-stats.ts'
import { GroupCommit } from './pipeline/group-commit.ts'
import { RequestPipeline } from './pipeline/request-pipeline.ts'
import type { ServerOptions, ServerSettings } from './server-options.ts'
import { Snapshots } from './snapshots.ts'
import type { ServerState } from './state/server-state.ts'
import type { DataFolder } from './storage/data-folder.ts'
import { recover } from './storage/recovery.ts'
import { writeSnapshot } from './storage/snapshot-writer.ts'
import { TxnLog } from './storage/txn-log.ts'

/** A server without its ports: everything from the request to the disk. */
export interface ServerCore {
  readonly state: ServerState
  readonly log: TxnLog
  readonly commit: GroupCommit
  readonly snapshots: Snapshots
  readonly pipeline: RequestPipeline
}

/** What the core tells the server, and asks it. */
export interface CoreOwner {
  onSessionsConnected(count: number): void
  /** The disk refused: what waits for it is never answered, and nobody is told otherwise. */
  onFailure(error: unknown): void
  /** Where it listens; 0, and -1 with TLS, where it does not. */
  clientPort(): number
  securePort(): number
}

/**
 * Recovers the state from a data folder that this process has the lock of, and puts the stages together. With `isWritable`
 * false it refuses transactions until the pipeline is told otherwise.
 */
export async function openCore(
  folder: DataFolder,
  settings: ServerSettings,
  options: ServerOptions,
  {
    platform,
    logger,
    owner,
    isWritable,
  }: { platform: Platform; logger: Logger; owner: CoreOwner; isWritable: boolean },
): Promise<ServerCore> {
  const { state, replayedCount, isNew } = await recover(folder, settings.tickTimeMs, logger)
  state.sessions.touchAll(platform.clock.nowMs())
  // Apache refuses logs without a snapshot to begin from, even an empty one.
  if (isNew) await writeSnapshot(folder, state, async () => {})
  const log = new TxnLog(folder)
  const stats = new TrafficStats()
  const commit: GroupCommit = new GroupCommit(
    log,
    { onDurable: () => pipeline.onDurable(), onFailure: error => owner.onFailure(error) },
    logger,
  )
  const snapshots = new Snapshots(folder, state, commit, {
    every: settings.snapCount,
    keep: settings.snapRetainCount,
    since: replayedCount,
    logger,
  })
  const pipeline: RequestPipeline = new RequestPipeline(
    state,
    commit,
    { clock: platform.clock, random: platform.random, logger },
    {
      ...settings,
      isWritable,
      superDigest: options.superDigest,
      sasl: options.sasl,
      requiredSchemes: options.requiredSchemes,
      stats,
      answerFourLetterWord: word => answerFourLetterWord(word, facts, options.fourLetterWords),
      onTransaction: () => snapshots.onTransaction(),
      onSessionsConnected: count => owner.onSessionsConnected(count),
    },
  )
  const facts: ServerFacts = {
    state,
    stats,
    clients: pipeline.clients,
    folder,
    clock: platform.clock,
    startedMs: platform.clock.nowMs(),
    settings,
    clientPort: () => owner.clientPort(),
    securePort: () => owner.securePort(),
    outstanding: () => pipeline.waitingCount,
  }
  return { state, log, commit, snapshots, pipeline }
}
