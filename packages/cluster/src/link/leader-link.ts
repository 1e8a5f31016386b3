import type { Clock, Connection, Endpoint, Network, Random } from '@conclave/core'
import { Link, LinkError } from './link.ts'
import type { HandshakeMessage, HeldJobs, LeaderMessage, WorkerMessage } from './messages.ts'
import { isProof, prove, type Transcript } from './proof.ts'

/** Both sides must have proven themselves, and a silent one is taken for dead, within this time. */
export const LINK_SILENCE_MS = 15_000
export const LINK_PING_MS = 5_000

export interface LeaderLinkOptions {
  readonly network: Network
  readonly clock: Clock
  readonly random: Random
  readonly endpoint: Endpoint
  readonly secret: Uint8Array
  readonly leaderId: string
  /** Who is expected there: another process may listen on that port by now. */
  readonly workerId: string
  readonly fencingToken: bigint
}

/** What a worker says of itself when the link opens. */
export interface WorkerIntroduction {
  /** Names the process: a later one of the same id has another. */
  readonly incarnation: string
  readonly slots: number
  readonly tasks: readonly string[]
  readonly held: HeldJobs
}

export interface LeaderLinkHandler {
  onOpen(introduction: WorkerIntroduction): void
  onMessage(message: WorkerMessage, lines: readonly string[]): void
  /** Once, also for a link that never opened. */
  onClose(error?: Error): void
}

/** The leader's end of a link: it connects, and is the first to prove that it knows the cluster's secret. */
export class LeaderLink {
  readonly #options: LeaderLinkOptions
  readonly #handler: LeaderLinkHandler
  readonly #link: Link
  readonly #connection: Connection
  #heardAtMs: number
  #stopWatching = (): void => {}

  constructor(options: LeaderLinkOptions, handler: LeaderLinkHandler) {
    this.#options = options
    this.#handler = handler
    this.#connection = options.network.connect(options.endpoint)
    this.#heardAtMs = options.clock.nowMs()
    this.#link = new Link(this.#connection, {
      onMessage: header => this.#onHandshake(header as HandshakeMessage),
      onClose: error => this.#onClose(error),
    })
    this.#watchSilence()
    this.#link.start()
  }

  send(message: LeaderMessage, lines: readonly string[] = []): void {
    this.#link.send(message, lines)
  }

  close(): void {
    this.#link.destroy()
  }

  #transcript: Transcript | undefined

  #onHandshake(message: HandshakeMessage): void {
    const { secret, random, leaderId, workerId, fencingToken } = this.#options
    switch (message.type) {
      case 'challenge': {
        if (message.workerId !== workerId) {
          throw new LinkError(`node ${message.workerId} answers at the address of ${workerId}`)
        }
        const leaderNonce = Buffer.from(random.bytes(16)).toString('base64')
        const token = fencingToken.toString()
        this.#transcript = {
          workerNonce: message.nonce,
          leaderNonce,
          workerId,
          leaderId,
          fencingToken: token,
        }
        const proof = prove(secret, 'leader', this.#transcript)
        this.#link.send({
          type: 'hello',
          nonce: leaderNonce,
          leaderId,
          fencingToken: token,
          proof,
        } satisfies HandshakeMessage)
        return
      }
      case 'welcome': {
        const { proof, incarnation, slots, tasks } = message
        if (this.#transcript === undefined || !isProof(proof, secret, 'worker', this.#transcript)) {
          throw new LinkError(`node ${workerId} cannot prove that it belongs to this cluster`)
        }
        this.#link.open({
          onMessage: (header, lines) =>
            this.#onMessage(header as WorkerMessage, lines, { incarnation, slots, tasks }),
          onClose: error => this.#onClose(error),
        })
        this.#heardAtMs = this.#options.clock.nowMs()
        return
      }
      case 'refused':
        throw new LinkError(`node ${workerId} refused the link: ${message.reason}`)
      default:
        throw new LinkError(`node ${workerId} sent an unexpected ${JSON.stringify(message).slice(0, 60)}`)
    }
  }

  #onMessage(
    message: WorkerMessage,
    lines: readonly string[],
    introduction: Omit<WorkerIntroduction, 'held'>,
  ): void {
    this.#heardAtMs = this.#options.clock.nowMs()
    if (message.type === 'held') this.#handler.onOpen({ ...introduction, held: message.jobs })
    else this.#handler.onMessage(message, lines)
  }

  #onClose(error?: Error): void {
    this.#stopWatching()
    this.#handler.onClose(error)
  }

  /** A peer that vanished without a word (a cut cable, a frozen host) is noticed by its silence. */
  #watchSilence(): void {
    const { clock, workerId } = this.#options
    const timer = clock.setTimer(LINK_PING_MS, () => {
      if (clock.nowMs() - this.#heardAtMs > LINK_SILENCE_MS) {
        return this.#link.destroy(new LinkError(`node ${workerId} has been silent for ${LINK_SILENCE_MS} ms`))
      }
      if (this.#transcript !== undefined) this.#link.send({ type: 'ping' } satisfies LeaderMessage)
      this.#watchSilence()
    })
    this.#stopWatching = () => timer.cancel()
  }
}
