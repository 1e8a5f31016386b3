/**
 * One import for all of Conclave. `connect`, `joinCluster`, `connectCluster` and `startAgent` are those of the
 * packages below, and also take `embedded:DIR`, or no connect string at all, for the embedded server.
 */
export * from '@conclave/client'
export * from '@conclave/cluster'
export * from '@conclave/core'
export * from '@conclave/discovery'
export * from '@conclave/protocol'
export * from '@conclave/recipes'
export { EmbeddedServer } from '@conclave/server'
export { connect, connectCluster, joinCluster, startAgent } from './connect.ts'
// Names that the wire's records have too: the client's are the ones that people mean.
export { closeSession, type MultiResult } from '@conclave/client'
export * from './default-data-folder.ts'
export * from './embedded-engine.ts'
export * from './embedded-server-error.ts'
export * from './local-cluster.ts'
