import {
  Backoff,
  formatEndpoint,
  type Endpoint,
  type Logger,
  type Platform,
  type Timer,
} from '@conclave/core'
import { LeaderLink, type WorkerIntroduction } from '../link/leader-link.ts'
import type { LeaderMessage, WorkerMessage } from '../link/messages.ts'

/**
 * How long a worker that is still registered may be out of reach before its tasks go to others. A worker that died
 * leaves the registry sooner than that where an agent looks after it.
 */
export const LINK_GRACE_MS = 1_000

const RECONNECT_BACKOFF = { baseMs: 20, maxMs: 1_000 }

export interface WorkerLinksOptions {
  readonly platform: Platform
  readonly logger: Logger
  readonly secret: Uint8Array
  readonly leaderId: string
  readonly fencingToken: bigint
}

export interface WorkerLinksHandler {
  onLinked(workerId: string, introduction: WorkerIntroduction): void
  onUnlinked(workerId: string): void
  /** Out of reach for too long, or out of the registry. */
  onGone(workerId: string): void
  onMessage(workerId: string, message: WorkerMessage, lines: readonly string[]): void
}

interface WorkerPeer {
  readonly endpoint: Endpoint
  readonly backoff: Backoff
  link: LeaderLink | undefined
  isOpen: boolean
  /** Whether it has been linked, and not been given up since. */
  isKnown: boolean
  reconnect: Timer | undefined
  grace: Timer | undefined
}

/** The leader's links: one to each worker in the registry, connected again for as long as it is there. */
export class WorkerLinks {
  readonly #options: WorkerLinksOptions
  readonly #handler: WorkerLinksHandler
  readonly #peers = new Map<string, WorkerPeer>()
  #closed = false

  constructor(options: WorkerLinksOptions, handler: WorkerLinksHandler) {
    this.#options = options
    this.#handler = handler
  }

  /** A worker is in the registry at that address; a known one may have moved. */
  add(workerId: string, endpoint: Endpoint): void {
    const known = this.#peers.get(workerId)
    if (known !== undefined) {
      if (formatEndpoint(known.endpoint) === formatEndpoint(endpoint)) return
      this.remove(workerId)
    }
    const backoff = new Backoff(this.#options.platform.random, RECONNECT_BACKOFF)
    const peer: WorkerPeer = {
      endpoint,
      backoff,
      link: undefined,
      isOpen: false,
      isKnown: false,
      reconnect: undefined,
      grace: undefined,
    }
    this.#peers.set(workerId, peer)
    this.#connect(workerId, peer)
  }

  /** It has left the registry. */
  remove(workerId: string): void {
    const peer = this.#peers.get(workerId)
    if (peer === undefined) return
    this.#peers.delete(workerId)
    this.#end(peer)
    if (peer.isKnown) this.#handler.onGone(workerId)
  }

  send(workerId: string, message: LeaderMessage, lines: readonly string[] = []): void {
    const peer = this.#peers.get(workerId)
    if (peer?.isOpen === true) peer.link!.send(message, lines)
  }

  close(): void {
    this.#closed = true
    for (const peer of this.#peers.values()) this.#end(peer)
  }

  #end(peer: WorkerPeer): void {
    peer.reconnect?.cancel()
    peer.grace?.cancel()
    peer.link?.close()
  }

  #connect(workerId: string, peer: WorkerPeer): void {
    const { platform, secret, leaderId, fencingToken } = this.#options
    const link = new LeaderLink(
      { ...platform, endpoint: peer.endpoint, secret, leaderId, workerId, fencingToken },
      {
        onOpen: introduction => this.#onOpen(workerId, peer, introduction),
        onMessage: (message, lines) => {
          if (this.#isPresent(workerId, peer)) this.#handler.onMessage(workerId, message, lines)
        },
        onClose: error => this.#onClose(workerId, peer, error),
      },
    )
    peer.link = link
  }

  #isPresent(workerId: string, peer: WorkerPeer): boolean {
    return !this.#closed && this.#peers.get(workerId) === peer
  }

  #onOpen(workerId: string, peer: WorkerPeer, introduction: WorkerIntroduction): void {
    if (!this.#isPresent(workerId, peer)) return
    peer.grace?.cancel()
    peer.grace = undefined
    peer.isOpen = true
    peer.isKnown = true
    peer.backoff.reset()
    this.#handler.onLinked(workerId, introduction)
  }

  #onClose(workerId: string, peer: WorkerPeer, error: Error | undefined): void {
    if (!this.#isPresent(workerId, peer)) return
    const { platform, logger } = this.#options
    logger.log('info', 'no link to a worker', { workerId, reason: error?.message })
    if (peer.isOpen) {
      peer.isOpen = false
      this.#handler.onUnlinked(workerId)
      peer.grace = platform.clock.setTimer(LINK_GRACE_MS, () => {
        peer.isKnown = false
        this.#handler.onGone(workerId)
      })
    }
    peer.reconnect = platform.clock.setTimer(peer.backoff.nextDelayMs(), () => this.#connect(workerId, peer))
  }
}
