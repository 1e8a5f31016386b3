import type { ZooKeeper } from '@conclave/client'
import { codeOf, messageOf, type Logger } from '@conclave/core'
import type { ClusterLayout } from '../layout.ts'

/** What an agent says of itself in its znode, as JSON. */
export interface AgentRecord {
  /** The name of the machine. */
  readonly host: string
  readonly pid: number
  /** How many nodes it keeps alive. */
  readonly capacity: number
  /** The ids of the nodes that run now. */
  readonly nodes: readonly string[]
}

/**
 * The agent's ephemeral znode. What was last declared is the truth: it is written again whenever it changes, and
 * anew in each new session. A failed write is repeated when the connection is back.
 */
export class AgentRegistration {
  readonly #zk: ZooKeeper
  readonly #layout: ClusterLayout
  readonly #path: string
  readonly #logger: Logger
  readonly #stopListening: () => void
  #record: AgentRecord
  #hasChanged = false
  #writing: Promise<void> | undefined
  #isClosed = false

  constructor(zk: ZooKeeper, layout: ClusterLayout, agentId: string, record: AgentRecord, logger: Logger) {
    this.#zk = zk
    this.#layout = layout
    this.#path = `${layout.agents}/${agentId}`
    this.#record = record
    this.#logger = logger
    this.#stopListening = zk.on('state', change => {
      if (change.state === 'connected') this.#declare()
    })
    this.#declare()
  }

  update(record: AgentRecord): void {
    this.#record = record
    this.#declare()
  }

  /** Resolves when what was declared last has been written, or has failed to be for now. */
  get settled(): Promise<void> {
    return this.#writing ?? Promise.resolve()
  }

  /** Nothing is written any more; the znode goes with the session. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#stopListening()
    await this.settled
  }

  /** One write at a time; what changes meanwhile is in the next. */
  #declare(): void {
    this.#hasChanged = true
    this.#writing ??= this.#writeUntilCurrent().finally(() => (this.#writing = undefined))
  }

  async #writeUntilCurrent(): Promise<void> {
    while (this.#hasChanged && !this.#isClosed) {
      this.#hasChanged = false
      try {
        await this.#write(JSON.stringify(this.#record))
      } catch (error) {
        // The next 'connected' declares again; a znode that is missing meanwhile costs a picture, not a task.
        this.#logger.log('warn', 'the agent could not register itself', { error: messageOf(error) })
      }
    }
  }

  async #write(data: string): Promise<void> {
    const stat = await this.#zk.exists(this.#path)
    if (stat?.ephemeralOwner === this.#zk.session?.sessionId)
      return void (await this.#zk.setData(this.#path, data))
    // Left behind by an earlier session of this agent: it would vanish when that one expires.
    if (stat !== null) await this.#zk.delete(this.#path).catch(ignoring('NO_NODE'))
    else await this.#zk.ensurePath(this.#layout.agents)
    await this.#zk.create(this.#path, data, { mode: 'ephemeral' })
  }
}

function ignoring(code: string): (error: unknown) => void {
  return error => {
    if (codeOf(error) !== code) throw error
  }
}
