import { AGENT_ENVIRONMENT_VARIABLE, wrapAgentMessage, type AgentMessage } from './agent-messages.ts'

/** The node's side of the channel to its agent. */
export interface AgentChannel {
  /** Tells the session that the agent is to close when this process dies. */
  session(session: { readonly sessionId: bigint; readonly sessionPassword: Uint8Array }): void
  role(node: {
    readonly nodeId: string
    readonly role: 'leader' | 'worker'
    readonly fencingToken?: bigint
  }): void
  /** Says why this process cannot work as it was started, before it exits with code 2. Resolves when it is sent. */
  unusable(message: string): Promise<void>
  /** Resolves when the agent has died or let go: the node shall end too, since nobody would replace or stop it. */
  readonly agentGone: Promise<void>
}

let channel: AgentChannel | undefined

/** The channel to the agent that started this process; `undefined` where none did. */
export function agentChannel(): AgentChannel | undefined {
  if (
    channel === undefined &&
    process.env[AGENT_ENVIRONMENT_VARIABLE] === '1' &&
    process.send !== undefined
  ) {
    // Programs that this process starts have another parent, and must not take it for an agent.
    delete process.env[AGENT_ENVIRONMENT_VARIABLE]
    channel = openChannel()
  }
  return channel
}

function openChannel(): AgentChannel {
  const agentGone = new Promise<void>(resolve => {
    if (!process.connected) resolve()
    else process.once('disconnect', resolve)
  })
  // A listener for 'disconnect' would keep the process alive for as long as the agent lives.
  process.channel?.unref()
  const send = (message: AgentMessage): Promise<void> =>
    new Promise(resolve => {
      // An agent that has gone is told by `agentGone`; there is nobody to report the failed send to.
      if (process.connected) process.send!(wrapAgentMessage(message), undefined, undefined, () => resolve())
      else resolve()
    })
  return {
    session: ({ sessionId, sessionPassword }) =>
      void send({
        type: 'session',
        sessionId: `0x${BigInt.asUintN(64, sessionId).toString(16)}`,
        sessionPassword: Buffer.from(sessionPassword).toString('hex'),
      }),
    role: ({ nodeId, role, fencingToken }) =>
      void send({
        type: 'role',
        nodeId,
        role,
        ...(fencingToken === undefined ? {} : { fencingToken: fencingToken.toString() }),
      }),
    unusable: message => send({ type: 'unusable', message }),
    agentGone,
  }
}
