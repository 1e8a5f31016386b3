import {
  ClientClosedError,
  NodeExistsError,
  NoNodeError,
  SessionExpiredError,
  ZooKeeperError,
  type Watcher,
  type ZooKeeper,
} from '@conclave/client'
import { Backoff, ClosedError, sleep } from '@conclave/core'
import { parentPath } from '@conclave/protocol'
import { encodeInstance, type ServiceInstance } from './service-instance.ts'

/**
 * The intent that an instance be registered. The znode that says so is made again in each new session, and when
 * somebody removes it, until `unregister`.
 */
export class Registration<Payload = unknown> {
  readonly #zk: ZooKeeper
  readonly #path: string
  readonly #backoff: Backoff
  readonly #offState: () => void
  #instance: ServiceInstance<Payload>
  #intended = true
  /** In which session the znode of another owner was removed: once in each, or two with one id would fight for ever. */
  #tookOverIn: bigint | undefined
  /** The data that the znode has, as far as this knows. */
  #written: string | undefined
  #stale = true
  #working: Promise<void> | undefined

  constructor(zk: ZooKeeper, path: string, instance: ServiceInstance<Payload>) {
    this.#zk = zk
    this.#path = path
    this.#instance = instance
    this.#backoff = new Backoff(zk.platform.random)
    this.#offState = zk.on('state', change => {
      if (change.state === 'connected' && change.isNewSession) void this.#refresh()
    })
  }

  /** What is registered now, or will be as soon as a server can be told. */
  get instance(): ServiceInstance<Payload> {
    return this.#instance
  }

  /** Resolves when the znode is there; rejects when the server refuses it. */
  async start(): Promise<void> {
    try {
      await this.#refresh(false)
    } catch (error) {
      this.#stop()
      throw error
    }
  }

  /** Publishes another payload. */
  update(payload: Payload): Promise<void> {
    return this.#change({ ...this.#instance, payload })
  }

  /** Tells the users of the service to leave this instance alone, or to come back to it. */
  setStatus(status: ServiceInstance['status']): Promise<void> {
    return this.#change({ ...this.#instance, status })
  }

  async #change(instance: ServiceInstance<Payload>): Promise<void> {
    if (!this.#intended) throw new ClosedError(`the registration of ${this.#path}`)
    this.#instance = instance
    await this.#refresh()
  }

  /** Takes the intent back; resolves when the znode is gone. Idempotent. */
  async unregister(): Promise<void> {
    this.#stop()
    await this.#refresh()
  }

  #stop(): void {
    this.#intended = false
    this.#offState()
  }

  /** Brings the znode in line with the intent; resolves when it is, or when the client is closed. */
  #refresh(persistent: boolean = true): Promise<void> {
    this.#stale = true
    this.#working ??= this.#reconcileUntilDone(persistent).finally(() => (this.#working = undefined))
    return this.#working
  }

  /** One step at a time: what changes meanwhile is taken up by the next. */
  async #reconcileUntilDone(persistent: boolean): Promise<void> {
    while (this.#stale) {
      this.#stale = false
      try {
        await this.#reconcile()
        this.#backoff.reset()
      } catch (error) {
        if (error instanceof ClientClosedError) return
        this.#stale = true
        // Gone between two steps, or there again: look anew. The next session, too, begins by looking.
        if (error instanceof NoNodeError || error instanceof NodeExistsError) continue
        // Its credentials were refused, say: nothing can be done any more.
        const isOver = this.#zk.state === 'closed'
        const passing =
          error instanceof SessionExpiredError || (error instanceof ZooKeeperError && error.retryable)
        if ((isOver || !passing) && !persistent) throw error
        if (isOver) return
        await sleep(this.#zk.platform.clock, this.#backoff.nextDelayMs())
      }
    }
  }

  readonly #onChange: Watcher = ({ type }) => {
    if (type === 'nodeDeleted' && this.#intended) void this.#refresh()
  }

  async #reconcile(): Promise<void> {
    const zk = this.#zk
    const { sessionId } = zk.session
    const stat = await zk.exists(this.#path, { watch: this.#intended ? this.#onChange : undefined })
    const isOwn = stat?.ephemeralOwner === sessionId
    if (!this.#intended) {
      if (isOwn) await zk.delete(this.#path)
      return
    }
    const data = encodeInstance(this.#instance)
    if (isOwn) {
      if (data !== this.#written) await zk.setData(this.#path, data)
    } else {
      if (stat !== null) {
        // Usually this process's own, of a session that is over; or another's, who then keeps it until he leaves.
        if (this.#tookOverIn === sessionId) return
        await zk.delete(this.#path)
      }
      this.#tookOverIn = sessionId
      await zk.ensurePath(parentPath(this.#path))
      await zk.create(this.#path, data, { mode: 'ephemeral' })
      await zk.exists(this.#path, { watch: this.#onChange })
    }
    this.#written = data
  }
}
