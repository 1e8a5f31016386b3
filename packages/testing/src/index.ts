export * from './certificates.ts'
export * from './embedded-server-process.ts'
export * from './eventually.ts'
export * from './fault-proxy.ts'
export * from './in-memory-server.ts'
export * from './leak-guard.ts'
export {
  runningProcesses,
  TestProcess,
  type ProcessEnd,
  type TestProcessOptions,
} from './process/test-process.ts'
export { killAtExit, removeAtExit } from './process/reaper.ts'
export * from './simulated/simulated-disk.ts'
export type { DelayOptions } from './simulated/slow-network.ts'
export * from './simulated/virtual-clock.ts'
export * from './temporary-folder.ts'
export * from './wire/raw-session.ts'
export * from './zookeeper/apache-ensemble.ts'
export * from './zookeeper/apache-zookeeper.ts'
export * from './zookeeper/find-zookeeper.ts'
export * from './zookeeper/four-letter-word.ts'
export * from './zookeeper/free-port.ts'
