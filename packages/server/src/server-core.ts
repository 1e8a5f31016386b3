import type { Logger, Platform } from '@conclave/core'
import { answerFourLetterWord } from './admin/four-letter-words.ts'
import type { ServerFacts } from './admin/server-facts.ts'
import { ServerStats } from './admin/server-stats.ts'
import { SyncWatch } from './admin/sync-watch.ts'
import type { AuditLog } from './audit/audit-log.ts'
import { GroupCommit } from './pipeline/group-commit.ts'
import { RequestPipeline } from './pipeline/request-pipeline.ts'
import type { ServerSettings } from './server-options.ts'
import { Snapshots } from './snapshots.ts'
import type { ServerState } from './state/server-state.ts'
import type { DataFolder } from './storage/data-folder.ts'
import { LogThread } from './storage/log-thread/log-thread.ts'
import { filledBytesOf } from './storage/next-log.ts'
import { recover, syncRecovered } from './storage/recovery.ts'
import { writeSnapshot } from './storage/snapshot-writer.ts'
import { TxnLog } from './storage/txn-log.ts'

/** A server without its ports: everything from the request to the disk. */
export interface ServerCore {
  readonly state: ServerState
  readonly log: TxnLog
  readonly commit: GroupCommit
  readonly snapshots: Snapshots
  readonly pipeline: RequestPipeline
  readonly facts: ServerFacts
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
  {
    platform,
    logger,
    owner,
    auditLog,
    isWritable,
  }: {
    platform: Platform
    logger: Logger
    owner: CoreOwner
    auditLog: AuditLog | undefined
    isWritable: boolean
  },
): Promise<ServerCore> {
  const { state, replayedCount, isNew } = await recover(folder, settings.expiryStepMs, logger)
  // On a disk that refuses writes nothing else is served than what was synced.
  if (isWritable && !isNew) await syncRecovered(folder)
  state.sessions.touchAll(platform.clock.nowMs())
  // Apache refuses logs without a snapshot to begin from, even an empty one.
  if (isNew)
    await writeSnapshot(folder, state, { form: settings.snapshotCompression, isDurable: async () => {} })
  const log = new TxnLog(folder, {
    preallocatedBytes: settings.preAllocBytes,
    filledBytes: filledBytesOf(settings.preAllocBytes),
    startThread: () => LogThread.start(logger),
  })
  const stats = new ServerStats()
  const syncWatch = new SyncWatch(stats, { clock: platform.clock, logger }, settings.slowSyncMs)
  const commit: GroupCommit = new GroupCommit(
    log,
    {
      onWriting: recordCount => syncWatch.begin(recordCount),
      onDurable() {
        syncWatch.end()
        pipeline.onDurable()
      },
      onFailure: error => owner.onFailure(error),
    },
    logger,
  )
  const snapshots = new Snapshots(folder, state, commit, {
    every: settings.snapCount,
    keep: settings.snapRetainCount,
    form: settings.snapshotCompression,
    since: replayedCount,
    logger,
    clock: platform.clock,
    time: stats.snapshotTime,
  })
  const pipeline: RequestPipeline = new RequestPipeline(
    state,
    commit,
    { clock: platform.clock, random: platform.random, logger },
    {
      ...settings,
      isWritable,
      stats,
      auditLog,
      answerFourLetterWord: (word, argument) =>
        answerFourLetterWord(word, argument, facts, settings.fourLetterWords),
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
    authFailedCount: () => pipeline.authentication.failedCount,
    isReadOnly: () => !pipeline.isWritable,
  }
  return { state, log, commit, snapshots, pipeline, facts }
}

/** Answers what is on its way to the disk, then ends the connections and the log. */
export async function closeCore({ commit, pipeline, snapshots, log }: ServerCore): Promise<void> {
  await commit.drain()
  pipeline.stop()
  await commit.drain()
  await snapshots.end()
  // On a disk that fails, the log is whole without its last words.
  await (commit.failed ? log.abandon().catch(() => {}) : log.close())
}
