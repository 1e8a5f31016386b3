import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Endpoint } from '@conclave/core'
import { ErrorCode } from '@conclave/protocol'
import { CLOSE_SESSION, CONNECT } from './frames.js'

/** Length, xid, zxid and error code: what every answer begins with. */
const HEAD_BYTES = 20
const ERROR_OFFSET = 16

/** Every session reads into it, one after the other. */
const shared = Buffer.allocUnsafeSlow(256 << 10)

const HOSTS = 250
let lastHost = 0

/** Connections as if from many hosts: for those of one, the system looks longer and longer for a port that is free. */
function nextHost(): string {
  lastHost = (lastHost % HOSTS) + 1
  return `127.0.0.${lastHost}`
}

/** A session on the bare wire that counts answers instead of decoding them, so that it costs the machine little. */
export class WireSession {
  /** Called with the number of answers and events that came together. */
  onFrames: (count: number) => void = () => {}
  readonly #socket: Socket
  readonly #head = Buffer.alloc(HEAD_BYTES)
  #headLength = 0
  /** Bytes of the present frame that are still to come. */
  #left = 0
  #isOpen = false
  #closed = false

  private constructor(endpoint: Endpoint, onOpen: () => void) {
    const onread = { buffer: shared, callback: (length: number) => this.#onBytes(length, onOpen) }
    this.#socket = connect({ ...endpoint, noDelay: true, onread, localAddress: nextHost() })
    this.#socket.write(CONNECT)
    this.#socket.on('error', error => fail(error.message))
    this.#socket.on('close', () => this.#closed || fail('the server ended a connection'))
  }

  static open(endpoint: Endpoint): Promise<WireSession> {
    return new Promise(resolve => {
      const session = new WireSession(endpoint, () => resolve(session))
    })
  }

  send(frames: Uint8Array): void {
    this.#socket.write(frames)
  }

  /** Sends frames and resolves when as many answers came. */
  ask(frames: readonly Uint8Array[]): Promise<void> {
    return new Promise(resolve => {
      let missing = frames.length
      this.onFrames = count => {
        missing -= count
        if (missing === 0) resolve()
      }
      this.send(Buffer.concat(frames))
    })
  }

  /** Closes the session, with nothing in flight; resolves when the server has ended the connection. */
  async end(): Promise<void> {
    this.#closed = true
    this.send(CLOSE_SESSION)
    await once(this.#socket, 'close')
  }

  #onBytes(length: number, onOpen: () => void): boolean {
    let count = 0
    for (let at = 0; at < length;) {
      if (this.#headLength < HEAD_BYTES) {
        const end = Math.min(length, at + HEAD_BYTES - this.#headLength)
        this.#headLength += shared.copy(this.#head, this.#headLength, at, end)
        at = end
        if (this.#headLength < HEAD_BYTES) break
        this.#onHead()
      }
      const taken = Math.min(this.#left, length - at)
      at += taken
      this.#left -= taken
      if (this.#left > 0) break
      this.#headLength = 0
      count++
    }
    if (count > 0 && !this.#isOpen) {
      this.#isOpen = true
      onOpen()
    } else if (count > 0) this.onFrames(count)
    return true
  }

  #onHead(): void {
    this.#left = this.#head.readInt32BE(0) + 4 - HEAD_BYTES
    const errorCode = this.#head.readInt32BE(ERROR_OFFSET)
    // What is made by each run may be there from the one before.
    if (this.#isOpen && errorCode !== 0 && errorCode !== ErrorCode.nodeExists) fail(`error ${errorCode}`)
  }
}

/** Ends this process, the generator's. */
export function fail(reason: string): never {
  process.stderr.write(`${reason}\n`)
  process.exit(1)
}
