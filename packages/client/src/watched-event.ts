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
