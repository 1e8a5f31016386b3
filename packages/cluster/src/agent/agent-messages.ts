/** What a node tells the agent that started it, as JSON over the IPC channel of `child_process`. */
export type AgentMessage =
  /** The session the agent is to close when the process dies; sent again for each new session. */
  | {
      readonly type: 'session'
      /** `0x` and hexadecimal digits. */
      readonly sessionId: string
      /** Hexadecimal. */
      readonly sessionPassword: string
    }
  | {
      readonly type: 'role'
      readonly nodeId: string
      readonly role: 'leader' | 'worker'
      /** Decimal; only of a leader. */
      readonly fencingToken?: string
    }
  /** The node cannot work as it was started; it exits with `USAGE_EXIT_CODE` right after. */
  | { readonly type: 'unusable'; readonly message: string }

/** The exit code of a node that another start, with the same arguments, would not help. */
export const USAGE_EXIT_CODE = 2

/** Names the environment variable that tells a process that an agent started it. */
export const AGENT_ENVIRONMENT_VARIABLE = 'CONCLAVE_AGENT'

/** The message, or `undefined` for anything else that came over the channel: the node's tasks may use it as well. */
export function parseAgentMessage(message: unknown): AgentMessage | undefined {
  if (typeof message !== 'object' || message === null || !('conclave' in message)) return undefined
  return message.conclave as AgentMessage
}

/** Wraps a message so that it cannot be taken for one of the node's own. */
export function wrapAgentMessage(message: AgentMessage): { readonly conclave: AgentMessage } {
  return { conclave: message }
}
