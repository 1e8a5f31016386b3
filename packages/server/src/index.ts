export { readServerOptions, type CommandLine, type ConfiguredServer } from './config/command-line.ts'
export { readZooCfg, type ZooCfg } from './config/zoo-cfg.ts'
export { readDataDir, readZooCfgFile } from './config/zoo-cfg-file.ts'
export { ADDRESS_FILE, type ServerAddress } from './address-file.ts'
export type { AuditEvent, AuditListener } from './audit/audit-event.ts'
export { auditLine } from './audit/audit-event.ts'
export { EmbeddedServer } from './embedded-server.ts'
export { PastTree, readTreeAt, type PastTreeOptions, type PastZnode } from './past-tree.ts'
export type { AdminOptions, PageOptions } from './admin/admin-pages.ts'
export type { SaslOptions } from './pipeline/authentication.ts'
export type { SecureOptions, ServerOptions } from './server-options.ts'
export type { SnapshotForm } from './storage/compression/snapshot-form.ts'
export { lockHolder } from './storage/lock-file.ts'
export {
  CorruptDataError,
  DataFolderError,
  DataFolderGoneError,
  DataFolderLockedError,
} from './storage/storage-errors.ts'
export { type LoggedChange, type LoggedTransaction } from './inspect/describe-transaction.ts'
export { followLog, type FollowOptions } from './inspect/follow-log.ts'
export * from './inspect/inspect-files.ts'
