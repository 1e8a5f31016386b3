import { NoNodeError, ZooKeeper, type ConnectionLossError, type ConnectOptions } from '@conclave/client'
import { eventually, FaultProxy, type Direction } from '@conclave/testing'
import { expect, test } from 'vitest'
import { describeEachEngine, type EngineFixture } from '../support/engines.ts'

/** A fault, as it is made when exactly so many bytes have passed. */
interface Fault {
  readonly name: string
  make(proxy: FaultProxy, direction: Direction): void
  /** The client finds it out by the silence of the server, not by the end of the connection. */
  readonly isSilent?: true
  /** Nothing is broken: whoever is patient need not notice. */
  readonly isHarmless?: true
}

const FAULTS: readonly Fault[] = [
  { name: 'cut', make: proxy => proxy.cut() },
  { name: 'half-closed', make: (proxy, direction) => proxy.halfClose(direction) },
  { name: 'delayed', make: (proxy, direction) => proxy.delay(20, direction), isHarmless: true },
  { name: 'swallowed', make: proxy => proxy.hold(), isSilent: true },
]

const DIRECTIONS: readonly Direction[] = ['toServer', 'toClient']

/** How many conversations go on at a time: those with a silent server wait most of it. */
const AT_A_TIME = { waiting: 300, working: 16 }

/** Silence is found out after two thirds of the session timeout; the rest is for coming back. */
const SILENT: ConnectOptions = {
  sessionTimeoutMs: 4_000,
  connectTimeoutMs: 1_000,
  establishTimeoutMs: 60_000,
}
const PATIENT: ConnectOptions = { sessionTimeoutMs: 10_000 }

/** Runs `run` for each number below `end`, so many at a time. */
async function forEachBelow(end: number, atATime: number, run: (at: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < end) await run(next++)
  }
  await Promise.all(Array.from({ length: atATime }, worker))
}

/** One write of the conversation: what the client said of it, and what is to be seen if it was applied. */
interface Write {
  readonly name: string
  readonly done: PromiseSettledResult<unknown>
  readonly isApplied: (witness: ZooKeeper) => Promise<boolean>
}

/** A client's whole life through the proxy, in a folder of its own; checked through a connection that nothing befalls. */
class Conversation {
  readonly #witness: ZooKeeper
  readonly #folder: string
  /** Servers may be out of reach for longer than the session timeout. */
  readonly #isSilent: boolean
  readonly #events: string[] = []
  #isLost = false
  /** What was created in vain, or whose answer was lost: the outcomes that were told. */
  readonly outcomes = new Set<string>()

  constructor(witness: ZooKeeper, folder: string, isSilent: boolean) {
    this.#witness = witness
    this.#folder = folder
    this.#isSilent = isSilent
  }

  async prepare(): Promise<void> {
    await this.#witness.multi([
      { op: 'create', path: this.#folder },
      ...['data', 'list', 'doomed'].map(name => ({ op: 'create' as const, path: `${this.#folder}/${name}` })),
    ])
  }

  readonly #watch = ({ type, path }: { readonly type: string; readonly path: string }): void => {
    this.#events.push(`${type} ${path.slice(this.#folder.length)}`)
  }

  async run(zk: ZooKeeper): Promise<void> {
    const folder = this.#folder
    const { sessionId } = zk.session
    const off = zk.on('state', ({ state }) => (this.#isLost ||= state === 'lost'))
    const begun = await Promise.allSettled([
      zk.getData(`${folder}/data`, { watch: this.#watch }),
      zk.getChildren(`${folder}/list`, { watch: this.#watch }),
    ])
    begun.forEach(read => this.#checkRead(read))
    const [created, changed, queued, together, removed, children] = await Promise.allSettled([
      zk.create(`${folder}/created`),
      zk.setData(`${folder}/data`, 'changed'),
      zk.createProtected(`${folder}/list/n-`, null, { mode: 'ephemeralSequential' }),
      zk.multi([
        { op: 'create', path: `${folder}/together` },
        { op: 'check', path: `${folder}/list` },
      ]),
      zk.delete(`${folder}/doomed`),
      zk.getChildren(folder),
    ])
    // A protected create looks for what it made until it has found out: nothing shows in it but a lost session.
    if (!this.#isLost) expect(queued.status).toBe('fulfilled')
    this.#checkRead(children)
    await this.#check([
      { name: 'create', done: created, isApplied: at => exists(at, `${folder}/created`) },
      {
        name: 'setData',
        done: changed,
        isApplied: async at => (await at.getData(`${folder}/data`)).stat.version > 0,
      },
      { name: 'multi', done: together, isApplied: at => exists(at, `${folder}/together`) },
      { name: 'delete', done: removed, isApplied: async at => !(await exists(at, `${folder}/doomed`)) },
    ])
    await this.#checkQueue(queued)
    await this.#checkWatches(zk, begun.filter(({ status }) => status === 'fulfilled').length)
    // Only a server may end a session, and it is told when one does.
    if (!this.#isLost) expect(zk.session.sessionId).toBe(sessionId)
    off()
    await zk.close()
  }

  /** Whether the session was lost, which only a server can say. */
  get isLost(): boolean {
    return this.#isLost
  }

  /** Where no server could be told of the end, the session ends by its timeout. */
  async checkEnd(): Promise<void> {
    await eventually(
      async () => (await this.#witness.getChildren(`${this.#folder}/list`)).children.join() === 'other',
      { what: `the end of what was ephemeral in ${this.#folder}`, timeoutMs: 30_000 },
    )
  }

  /** Reads are sent again, for as long as the session cannot be gone. */
  #checkRead(read: PromiseSettledResult<unknown>): void {
    if (read.status === 'fulfilled') return
    expect(this.#isSilent && read.reason).toMatchObject({ outcome: 'not-applied' })
  }

  async #check(writes: readonly Write[]): Promise<void> {
    for (const { name, done, isApplied } of writes) {
      if (done.status === 'fulfilled') {
        this.outcomes.add('applied')
        expect(await isApplied(this.#witness), `${name} was confirmed`).toBe(true)
        continue
      }
      const { outcome } = done.reason as ConnectionLossError
      this.outcomes.add(outcome)
      if (outcome === 'not-applied')
        expect(await isApplied(this.#witness), `${name} never went out`).toBe(false)
    }
  }

  /** No znode is in the queue but the one that the client knows to be its own. */
  async #checkQueue(queued: PromiseSettledResult<{ path: string }>): Promise<void> {
    if (this.#isLost) return
    const { children } = await this.#witness.getChildren(`${this.#folder}/list`)
    const mine = queued.status === 'fulfilled' ? [queued.value.path] : []
    expect(children.map(name => `${this.#folder}/list/${name}`)).toEqual(mine)
  }

  /** Each was set and told once: of what the client did itself, or of what is done now. */
  async #checkWatches(zk: ZooKeeper, setCount: number): Promise<void> {
    await this.#witness.setData(`${this.#folder}/data`, 'last')
    await this.#witness.create(`${this.#folder}/list/other`)
    await eventually(() => this.#events.length >= setCount, { what: 'every watch that was set' })
    // An answer from after the changes: what was told twice would be here by now.
    await zk.sync()
    const told = this.#events.toSorted()
    if (this.#isLost && told.some(event => event.startsWith('sessionLost'))) return
    const due = ['nodeChildrenChanged /list', 'nodeDataChanged /data']
    expect(told).toEqual(setCount === due.length ? due : told.filter(event => due.includes(event)))
    expect(new Set(told).size).toBe(setCount)
  }
}

async function exists(zk: ZooKeeper, path: string): Promise<boolean> {
  return (await zk.exists(path)) !== null
}

/** The connect string of the test, through a proxy. */
function through(proxy: FaultProxy, fixture: EngineFixture): string {
  return fixture.connectString.replace(/^[^/]+/, proxy.connectString)
}

describeEachEngine('a conversation', fixture => {
  /** How many bytes it has when nothing befalls it. */
  async function lengthOf(witness: ZooKeeper, direction: Direction): Promise<number> {
    await using proxy = await FaultProxy.start(fixture.server.endpoint)
    const conversation = new Conversation(witness, '/whole', false)
    await conversation.prepare()
    await conversation.run(await ZooKeeper.connect(through(proxy, fixture), PATIENT))
    expect([...conversation.outcomes]).toEqual(['applied'])
    return proxy.passedBytes(direction)
  }

  test.for(FAULTS.flatMap(fault => DIRECTIONS.map(direction => ({ ...fault, direction }))))(
    '$name $direction - at whatever byte, all that is told is true, nothing is lost and nothing left behind',
    async ({ direction, make, isSilent = false, isHarmless = false }) => {
      const witness = await fixture.connect()
      const bytes = await lengthOf(witness, direction)
      const outcomes = new Set<string>()
      await forEachBelow(bytes, isSilent ? AT_A_TIME.waiting : AT_A_TIME.working, async at => {
        await using proxy = await FaultProxy.start(fixture.server.endpoint)
        const conversation = new Conversation(witness, `/at-${at}`, isSilent)
        await conversation.prepare()
        let isOver = false
        let healed: Promise<unknown> | undefined
        proxy.after(direction, at, () => {
          make(proxy, direction)
          if (!isSilent) return
          // A partition that ends: what was held then arrives, late, beside what the client has sent again.
          healed = eventually(() => proxy.accepted > 1 || isOver, { timeoutMs: 60_000 }).then(() =>
            proxy.heal(),
          )
        })
        const zk = await ZooKeeper.connect(through(proxy, fixture), isSilent ? SILENT : PATIENT)
        const told: string[] = []
        zk.on('state', ({ state }) => told.push(state))
        await conversation.run(zk)
        isOver = true
        await healed
        await conversation.checkEnd()
        conversation.outcomes.forEach(outcome => outcomes.add(outcome))
        // Only silence can be so long that the server gives the session up.
        if (!isSilent) expect(conversation.isLost, `lost by a fault at byte ${at}`).toBe(false)
        if (isHarmless) expect(told).toEqual(['closed'])
      })
      expect(bytes).toBeGreaterThan(400)
      expect(outcomes.has('unknown')).toBe(!isHarmless)
    },
  )

  test.for(DIRECTIONS)(
    'retryWrites - writes that may be done twice succeed wherever the connection breaks %s',
    async direction => {
      await using proxy = await FaultProxy.start(fixture.server.endpoint)
      const witness = await fixture.connect()
      const zk = await ZooKeeper.connect(through(proxy, fixture), { retryWrites: true })
      const unknown = new Set<string>()
      await witness.create('/retried')
      for (let atByte = 0; ; atByte++) {
        const before = proxy.passedBytes(direction)
        proxy.cutAfter(direction, atByte)
        const path = `/retried/${atByte}`
        await witness.create(path)
        const [written, conditional, removed] = await Promise.allSettled([
          zk.setData('/retried', `${atByte}`),
          zk.setData(path, 'x', { expectedVersion: 0 }),
          zk.delete(path),
        ])
        expect([written.status, removed.status]).toEqual(['fulfilled', 'fulfilled'])
        expect((await witness.getData('/retried')).data?.toString()).toBe(`${atByte}`)
        expect(await witness.exists(path)).toBeNull()
        if (conditional.status === 'rejected')
          unknown.add((conditional.reason as ConnectionLossError).outcome)
        const passed = proxy.passedBytes(direction) - before
        proxy.heal()
        if (passed < atByte) break
      }
      expect(unknown).toContain('unknown')
      await expect(zk.delete('/retried/0')).rejects.toBeInstanceOf(NoNodeError)
      await zk.close()
    },
  )
})
