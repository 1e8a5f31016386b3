import { ClientClosedError, NoNodeError, type Watcher, type ZooKeeper } from '@conclave/client'
import { Backoff, Lifecycle, sleep, TypedEmitter } from '@conclave/core'
import { baseName, childPath } from '@conclave/protocol'
import { decodeInstance, encodeInstance, type ServiceInstance } from './service-instance.ts'

/** What happens to the instances of a service. */
export interface ServiceCacheEvents {
  added: ServiceInstance
  /** Its description is another, or it was registered anew. */
  changed: ServiceInstance
  removed: ServiceInstance
}

/** How many instances are read at a time. */
const WINDOW = 128

/**
 * The instances of one service, kept up to date: the list is watched for who comes and goes, each instance for what
 * changes. While suspended it shows what was known last; after a lost session all is read again.
 */
export class ServiceCache {
  readonly #zk: ZooKeeper
  readonly #path: string
  readonly #events = new TypedEmitter<ServiceCacheEvents>()
  readonly #lifecycle = new Lifecycle('the service cache')
  readonly #backoff: Backoff
  readonly #instances = new Map<string, ServiceInstance>()
  /** The ids whose data must be read; with `#listIsStale`, what there is to do. */
  readonly #staleIds = new Set<string>()
  #listIsStale = true
  #working: Promise<void> | undefined

  constructor(zk: ZooKeeper, path: string) {
    this.#zk = zk
    this.#path = path
    this.#backoff = new Backoff(zk.platform.random)
  }

  /** The instances as last read, in no order. */
  get current(): ServiceInstance[] {
    return [...this.#instances.values()]
  }

  /** Calls back at each change of the list; the function returned ends that. */
  on<Name extends keyof ServiceCacheEvents>(
    name: Name,
    listener: (instance: ServiceCacheEvents[Name]) => void,
  ): () => void {
    return this.#events.on(name, listener)
  }

  /** Resolves when the instances that are there have been read and told of. */
  async start(): Promise<void> {
    this.#lifecycle.start()
    await this.#refresh()
  }

  /** Nothing is told any more. */
  close(): Promise<void> {
    return this.#lifecycle.close(() => Promise.resolve())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #isOpen(): boolean {
    return this.#lifecycle.state === 'started'
  }

  readonly #onListChange: Watcher = () => {
    this.#listIsStale = true
    void this.#refresh()
  }

  readonly #onInstanceChange: Watcher = ({ type, path }) => {
    // Who is in the list after this is another one of that id.
    this.#staleIds.add(baseName(path))
    // A deletion shows in the list as well, whose watch tells of it next: without the list there is nothing to read.
    if (type !== 'nodeDeleted') void this.#refresh()
  }

  #refresh(): Promise<void> {
    this.#working ??= this.#work().finally(() => (this.#working = undefined))
    return this.#working
  }

  async #work(): Promise<void> {
    while (this.#isOpen && (this.#listIsStale || this.#staleIds.size > 0)) {
      try {
        if (this.#listIsStale) await this.#readList()
        await this.#readInstances()
        this.#backoff.reset()
      } catch (error) {
        if (error instanceof ClientClosedError || this.#zk.state === 'closed') return
        // What could not be read is read again with everything else: nothing known is better than half.
        this.#listIsStale = true
        for (const id of this.#instances.keys()) this.#staleIds.add(id)
        await sleep(this.#zk.platform.clock, this.#backoff.nextDelayMs())
      }
    }
  }

  async #readList(): Promise<void> {
    this.#listIsStale = false
    const children = new Set(await this.#children())
    if (!this.#isOpen) return
    for (const [id, instance] of this.#instances) {
      if (children.has(id)) continue
      this.#instances.delete(id)
      this.#staleIds.delete(id)
      this.#events.emit('removed', instance)
    }
    for (const id of children) {
      if (!this.#instances.has(id)) this.#staleIds.add(id)
    }
  }

  async #children(): Promise<readonly string[]> {
    try {
      return (await this.#zk.getChildren(this.#path, { watch: this.#onListChange })).children
    } catch (error) {
      if (!(error instanceof NoNodeError)) throw error
      // Nobody has registered yet; a child can be watched for only where there is a parent.
      await this.#zk.ensurePath(this.#path)
      return (await this.#zk.getChildren(this.#path, { watch: this.#onListChange })).children
    }
  }

  async #readInstances(): Promise<void> {
    while (this.#staleIds.size > 0 && this.#isOpen) {
      const ids = [...this.#staleIds].slice(0, WINDOW)
      for (const id of ids) this.#staleIds.delete(id)
      const read = await Promise.all(ids.map(id => this.#readInstance(id)))
      ids.forEach((id, i) => this.#take(id, read[i]))
    }
  }

  async #readInstance(id: string): Promise<ServiceInstance | undefined> {
    try {
      const path = childPath(this.#path, id)
      const { data } = await this.#zk.getData(path, { watch: this.#onInstanceChange })
      return decodeInstance(data)
    } catch (error) {
      // Gone since it was listed; the list's own watch tells that.
      if (error instanceof NoNodeError) return undefined
      throw error
    }
  }

  #take(id: string, instance: ServiceInstance | undefined): void {
    if (!this.#isOpen || instance === undefined) return
    const known = this.#instances.get(id)
    this.#instances.set(id, instance)
    if (known === undefined) this.#events.emit('added', instance)
    else if (encodeInstance(known) !== encodeInstance(instance)) this.#events.emit('changed', instance)
  }
}
