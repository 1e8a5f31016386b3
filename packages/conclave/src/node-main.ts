// The process of one node of a local cluster: an agent starts it with its options as JSON in the first argument.

import { agentChannel, TaskModuleError, USAGE_EXIT_CODE } from '@conclave/cluster'
import { messageOf, UsageError } from '@conclave/core'
import { joinCluster } from './connect.ts'
import { nodeLogger } from './node-log.ts'

/** What `startLocalCluster` passes to each node. */
export interface NodeArguments {
  readonly connect: string
  readonly cluster: string
  /** URLs of task modules. */
  readonly tasks: readonly string[]
  readonly slots?: number
  readonly sessionTimeoutMs?: number
}

/** How long this process may take to leave the cluster in order, in milliseconds. */
const GRACE_MS = 5_000

const channel = agentChannel()
const ending = new AbortController()
// A Ctrl-C on the terminal reaches this process too, but it is the agent that ends its nodes, in order.
process.on('SIGINT', () => {})
process.once('SIGTERM', () => ending.abort())
void channel?.agentGone.then(() => ending.abort())

// An agent would kill a node that does not end; one that has gone cannot.
ending.signal.addEventListener('abort', () => setTimeout(() => process.exit(1), GRACE_MS).unref())

process.exitCode = await run(JSON.parse(process.argv[2] ?? '') as NodeArguments)
// Not left to an empty event loop: a task's thread may hold it for as long as the task runs.
process.exit()

async function run({ tasks, ...options }: NodeArguments): Promise<number> {
  try {
    await using node = await joinCluster({
      ...options,
      tasks: tasks.map(url => new URL(url)),
      ...nodeLogger(),
      signal: ending.signal,
    })
    await Promise.race([aborted(ending.signal), node.closed])
    return 0
  } catch (error) {
    if (ending.signal.aborted) return 0
    if (error instanceof UsageError || error instanceof TaskModuleError) {
      await channel?.unusable(messageOf(error))
      return USAGE_EXIT_CODE
    }
    process.stderr.write(`a node has ended: ${messageOf(error)}\n`)
    return 1
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
