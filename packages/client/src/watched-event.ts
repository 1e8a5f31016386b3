/**
 * That a watched znode changed; or, `sessionLost`, that its watch went with its session and nothing more will be told.
 */
export interface WatchedEvent {
  readonly type: 'nodeCreated' | 'nodeDeleted' | 'nodeDataChanged' | 'nodeChildrenChanged' | 'sessionLost'
  readonly path: string
  /** The transaction that changed it, where the server says so (3.9 and newer). */
  readonly zxid?: bigint | undefined
}

/** Called once for a one-shot watch: after the reply that set it, before any reply that shows the change. */
export type Watcher = (event: WatchedEvent) => void

/** A watcher that throws stops nothing here: the error surfaces as the uncaught exception it is. */
export function callWatcher(watcher: Watcher, event: WatchedEvent): void {
  try {
    watcher(event)
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}
