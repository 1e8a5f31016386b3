export * from './agent/agent.ts'
export { USAGE_EXIT_CODE } from './agent/agent-messages.ts'
export type { HealerDecision, HealerOptions } from './agent/healer-machine.ts'
export type { NodeExit, NodeProgram } from './agent/node-process.ts'
export { agentChannel, type AgentChannel } from './agent/agent-channel.ts'
export * from './cluster.ts'
export * from './jobs/job.ts'
export { CorruptJobError, type JobEnd, type JobRecord, type JobState } from './jobs/job-record.ts'
export { JobInputError } from './jobs/job-submission.ts'
export { JobNotFoundError } from './jobs/result-reader.ts'
export { CorruptSegmentError, MAX_VALUE_BYTES, type TaskError } from './jobs/segment.ts'
export { LinkError } from './link/link.ts'
export {
  joinCluster,
  type CandidateData,
  type ClusterNode,
  type NodeRole,
  type RoleChange,
  type WorkerPayload,
} from './node/node.ts'
export type { ConnectionOptions, JoinOptions } from './node/options.ts'
export type { LeaderInfo } from './observe-leader.ts'
export * from './task.ts'
export { TaskModuleError } from './worker/thread-pool.ts'
