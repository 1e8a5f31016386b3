import type { Clock, Connection, Random } from '@conclave/core'
import type { WorkerIntroduction } from './leader-link.ts'
import { LINK_SILENCE_MS } from './leader-link.ts'
import { Link, LinkError } from './link.ts'
import type { HandshakeMessage, LeaderMessage, WorkerMessage } from './messages.ts'
import { isProof, prove, type Transcript } from './proof.ts'

export interface WorkerLinkOptions {
  readonly clock: Clock
  readonly random: Random
  readonly connection: Connection
  readonly secret: Uint8Array
  readonly workerId: string
}

export interface WorkerLinkHandler {
  /** The leader has proven itself. Throws `LinkError`, whose message it is told, to refuse it. */
  onLeader(leader: { readonly leaderId: string; readonly fencingToken: bigint }): WorkerIntroduction
  /** It has been told what is held here; messages may be sent. */
  onOpen(): void
  onMessage(message: LeaderMessage, lines: readonly string[]): void
  /** Once, also for a link that never opened. */
  onClose(error?: Error): void
}

/** The worker's end of a link: it accepts, and says nothing of itself before the leader has proven itself. */
export class WorkerLink {
  readonly #options: WorkerLinkOptions
  readonly #handler: WorkerLinkHandler
  readonly #link: Link
  readonly #nonce: string
  #heardAtMs: number
  #stopWatching = (): void => {}

  constructor(options: WorkerLinkOptions, handler: WorkerLinkHandler) {
    this.#options = options
    this.#handler = handler
    this.#nonce = Buffer.from(options.random.bytes(16)).toString('base64')
    this.#heardAtMs = options.clock.nowMs()
    this.#link = new Link(options.connection, {
      onMessage: header => this.#onHello(header as HandshakeMessage),
      onClose: error => this.#onClose(error),
    })
    this.#watchSilence()
    this.#link.start()
    this.#link.send({
      type: 'challenge',
      nonce: this.#nonce,
      workerId: options.workerId,
    } satisfies HandshakeMessage)
  }

  send(message: WorkerMessage, lines: readonly string[] = []): void {
    this.#link.send(message, lines)
  }

  close(): void {
    this.#link.destroy()
  }

  #onHello(message: HandshakeMessage): void {
    if (message.type !== 'hello') throw new LinkError('the first message of a link was not a hello')
    const { secret, workerId } = this.#options
    const { leaderId, fencingToken, nonce, proof } = message
    const transcript: Transcript = {
      workerNonce: this.#nonce,
      leaderNonce: nonce,
      workerId,
      leaderId,
      fencingToken,
    }
    if (!isProof(proof, secret, 'leader', transcript)) {
      return this.#refuse('the leader cannot prove that it belongs to this cluster')
    }
    let introduction: WorkerIntroduction
    try {
      introduction = this.#handler.onLeader({ leaderId, fencingToken: BigInt(fencingToken) })
    } catch (error) {
      if (!(error instanceof LinkError)) throw error
      return this.#refuse(error.message)
    }
    const proofOfWorker = prove(secret, 'worker', transcript)
    const { held, ...welcome } = introduction
    this.#link.send({ type: 'welcome', proof: proofOfWorker, ...welcome } satisfies HandshakeMessage)
    this.#link.open({
      onMessage: (header, lines) => this.#onMessage(header as LeaderMessage, lines),
      onClose: error => this.#onClose(error),
    })
    // Not in the welcome: before a link is open its messages are small.
    this.send({ type: 'held', jobs: held })
    this.#handler.onOpen()
  }

  #refuse(reason: string): void {
    this.#link.send({ type: 'refused', reason } satisfies HandshakeMessage)
    this.#link.end()
  }

  #onMessage(message: LeaderMessage, lines: readonly string[]): void {
    this.#heardAtMs = this.#options.clock.nowMs()
    if (message.type === 'ping') this.send({ type: 'pong' })
    else this.#handler.onMessage(message, lines)
  }

  #onClose(error?: Error): void {
    this.#stopWatching()
    this.#handler.onClose(error)
  }

  /** The leader pings; a leader that has gone silent has another in its place, which will connect. */
  #watchSilence(): void {
    const { clock } = this.#options
    const timer = clock.setTimer(LINK_SILENCE_MS, () => {
      const silentMs = clock.nowMs() - this.#heardAtMs
      if (silentMs >= LINK_SILENCE_MS) return this.#link.destroy(new LinkError('the leader has gone silent'))
      this.#watchSilence()
    })
    this.#stopWatching = () => timer.cancel()
  }
}
