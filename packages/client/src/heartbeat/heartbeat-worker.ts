/**
 * The thread that keeps a session alive while the event loop of its client is busy: the connections live here, bytes go
 * to and fro as they are, and what is silent for a while is pinged. But only as long as the client's own event loop has
 * turned within the time allowed: a process that hangs must lose its session, and with it what it holds.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { nodeClock, nodeNetwork, tlsNetwork, type Connection, type Timer } from '@conclave/core'
import { FrameDecoder, JuteWriter, OpCode, SpecialXid } from '@conclave/protocol'
import type { FromWorker, HeartbeatWorkerData, ToWorker } from './messages.ts'
import { processNs, SharedTime } from './shared-time.ts'

const port = parentPort!
const { beat, maxStallMs, maxReplyBytes } = workerData as HeartbeatWorkerData
const clientBeat = new SharedTime(beat)
const connections = new Map<number, KeptConnection>()

function tell(message: FromWorker): void {
  port.postMessage(message)
}

class KeptConnection {
  readonly #stream: Connection
  readonly #answered: SharedTime
  readonly #onTaken: () => void
  /** Finds the answers to pings; whatever else passes is the client's to judge. */
  readonly #decoder = new FrameDecoder(maxReplyBytes)
  /** When the pings without an answer were sent. */
  readonly #pingsNs: bigint[] = []
  #untaken = 0
  /** `undefined` until the session is confirmed. */
  #intervalMs: number | undefined
  #timer: Timer | undefined

  constructor({ id, endpoint, tls, answered }: Extract<ToWorker, { type: 'connect' }>) {
    this.#answered = new SharedTime(answered)
    this.#onTaken = () => {
      tell({ type: 'taken', id, bytes: this.#untaken })
      this.#untaken = 0
    }
    this.#stream = (tls === undefined ? nodeNetwork : tlsNetwork(tls)).connect(endpoint)
    this.#stream.start({
      onConnect: () => tell({ type: 'connected', id }),
      onData: bytes => {
        tell({ type: 'data', id, bytes })
        this.#lookForPings(bytes)
      },
      onDrain: this.#onTaken,
      onClose: error => {
        this.#timer?.cancel()
        connections.delete(id)
        tell({ type: 'closed', id, error })
      },
    })
  }

  on(message: Exclude<ToWorker, { type: 'connect' | 'exit' }>): void {
    switch (message.type) {
      case 'write':
        this.#arm()
        this.#untaken += message.bytes.length
        if (this.#stream.write(message.bytes)) this.#onTaken()
        return
      case 'keepAlive':
        this.#intervalMs = message.intervalMs
        return this.#arm()
      case 'pause':
      case 'resume':
      case 'end':
      case 'destroy':
        return this.#stream[message.type]()
    }
  }

  #arm(): void {
    this.#timer?.cancel()
    if (this.#intervalMs !== undefined) this.#timer = nodeClock.setTimer(this.#intervalMs, () => this.#ping())
  }

  #ping(): void {
    this.#arm()
    if (clientBeat.ageMs > maxStallMs) return
    const writer = new JuteWriter()
    writer.int32(8)
    writer.int32(SpecialXid.ping)
    writer.int32(OpCode.ping)
    this.#pingsNs.push(processNs())
    this.#stream.write(writer.detach())
  }

  #lookForPings(bytes: Buffer): void {
    try {
      this.#decoder.push(bytes, (buffer, start, end) => {
        if (end - start < 4 || buffer.readInt32BE(start) !== SpecialXid.ping) return
        const sentNs = this.#pingsNs.shift()
        if (sentNs !== undefined) this.#answered.set(sentNs)
      })
    } catch {
      // The client finds the same in these bytes, and says what it is.
      this.#stream.destroy()
    }
  }
}

port.on('message', (message: ToWorker) => {
  // What is still to be sent is sent, then the thread ends by itself.
  if (message.type === 'exit') port.close()
  else if (message.type === 'connect') connections.set(message.id, new KeptConnection(message))
  else connections.get(message.id)?.on(message)
})
