export { ADDRESS_FILE, type ServerAddress } from './address-file.ts'
export { EmbeddedServer } from './embedded-server.ts'
export type { ServerOptions } from './server-options.ts'
export { CorruptDataError, DataFolderError, DataFolderLockedError } from './storage/storage-errors.ts'
