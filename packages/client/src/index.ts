export {
  Permission,
  OPEN_ACL,
  READ_ACL,
  CREATOR_ALL_ACL,
  type Acl,
  type ClientInfo,
  type CreateMode,
  type Stat,
} from '@conclave/protocol'
export * from './client.ts'
export * from './close-session.ts'
export * from './connect-string.ts'
export * from './connection-state.ts'
export { protectedName } from './create-protected.ts'
export type { Data } from './data.ts'
export * from './errors.ts'
export {
  SrvHostProvider,
  StaticHostProvider,
  type ConnectTarget,
  type HostProvider,
  type LookupPlatform,
} from './host-provider.ts'
export {
  type ClientMetrics,
  type OperationMetrics,
  type RequestDiagnostics,
  type RequestStartDiagnostics,
  type StateDiagnostics,
} from './metrics.ts'
export { MultiError, type MultiResult, type TransactionOp } from './multi.ts'
export type { MultiReadOp, MultiReadResult } from './multi-read.ts'
export {
  ANY_VERSION,
  type CreateOptions,
  type ReadLevel,
  type ReadOptions,
  type Reconfiguration,
  type RequestOptions,
  type WatchSelection,
  type WriteOptions,
} from './operations.ts'
export type { AuthInfo, ConnectOptions } from './options.ts'
export type { PersistentWatch, PersistentWatchEvent, PersistentWatchOptions } from './persistent-watch.ts'
export type { ClientEvents, Stall } from './session.ts'
export type { SaslCredentials } from './sasl-digest-md5.ts'
export * from './server-errors.ts'
export * from './tree-transfer.ts'
export type { WalkedZnode } from './walk.ts'
export type { WatchedEvent, Watcher } from './watched-event.ts'
