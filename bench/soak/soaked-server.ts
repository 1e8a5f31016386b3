import { deferred, type Deferred, type Endpoint } from '@conclave/core'
import { killAtExit } from '@conclave/testing'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** What the server's process is asked, one after the other. */
export type Question = { readonly kind: 'memory' } | { readonly kind: 'expire'; readonly sessionId: string }

/** What it says: where it listens, of itself, then one answer to each question. */
export type Answer =
  | { readonly kind: 'listening'; readonly endpoint: Endpoint; readonly adminEndpoint: Endpoint }
  | { readonly kind: 'memory'; readonly heapBytes: number; readonly externalBytes: number }
  | { readonly kind: 'expired'; readonly wasThere: boolean }

/** What is reachable after a collection: in the heap of JavaScript, and outside of it. */
export interface Memory {
  readonly heapBytes: number
  readonly externalBytes: number
}

/**
 * Has glibc give memory back as soon as it is freed, not when it suits: what is resident then says what is held, and not how
 * much there once was.
 */
const PROMPT_ALLOCATOR = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '65536',
  MALLOC_TRIM_THRESHOLD_: '65536',
}

/** The process of the server, seen from the traffic. */
export class SoakedServer {
  readonly #child: ChildProcess
  readonly #waiting: Deferred<Answer>[] = []
  readonly #ended: Promise<unknown>
  #endpoint!: Endpoint
  #adminEndpoint!: Endpoint

  private constructor(dataDir: string) {
    const program = fileURLToPath(new URL('./server-process.js', import.meta.url))
    this.#child = fork(program, [dataDir], {
      execArgv: ['--expose-gc'],
      env: { ...process.env, ...PROMPT_ALLOCATOR },
    })
    const forget = killAtExit(this.#child.pid!)
    this.#ended = once(this.#child, 'exit').then(() => {
      forget()
      for (const { reject } of this.#waiting.splice(0)) reject(new Error('the server has ended'))
    })
    this.#child.on('message', (answer: Answer) => this.#waiting.shift()?.resolve(answer))
  }

  static async start(dataDir: string): Promise<SoakedServer> {
    const server = new SoakedServer(dataDir)
    const answer = await server.#next()
    if (answer.kind !== 'listening') throw new Error(`the server said ${answer.kind} first`)
    server.#endpoint = answer.endpoint
    server.#adminEndpoint = answer.adminEndpoint
    return server
  }

  get endpoint(): Endpoint {
    return this.#endpoint
  }

  get adminEndpoint(): Endpoint {
    return this.#adminEndpoint
  }

  get pid(): number {
    return this.#child.pid!
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** After a collection of all garbage. */
  async memory(): Promise<Memory> {
    const answer = await this.#ask({ kind: 'memory' })
    if (answer.kind !== 'memory') throw new Error(`not an answer: ${answer.kind}`)
    return answer
  }

  /** Ends a session, as if its time were up. */
  async expire(sessionId: bigint): Promise<void> {
    await this.#ask({ kind: 'expire', sessionId: String(sessionId) })
  }

  async close(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect()
    await this.#ended
  }

  #ask(question: Question): Promise<Answer> {
    this.#child.send(question)
    return this.#next()
  }

  #next(): Promise<Answer> {
    const answer = deferred<Answer>()
    this.#waiting.push(answer)
    return answer.promise
  }
}
