import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { nodeClock, TimeoutError, type Endpoint } from '@conclave/core'

/** Where, and how, a server is asked. */
export interface Asked extends Endpoint {
  /** Whether that port takes TLS alone. */
  readonly isSecure?: boolean
  /** What to show there, where a certificate is asked for. */
  readonly tls?: {
    readonly cert?: string | Buffer
    readonly key?: string | Buffer
    readonly passphrase?: string
  }
}

/**
 * What a server answers to one of ZooKeeper's four-letter words: nothing where it ends the connection without a word.
 * Rejects when nobody listens there, or nobody answers in time.
 */
export function askServer(asked: Asked, word: string, timeoutMs: number): Promise<string> {
  const { host, port, isSecure = false, tls } = asked
  return new Promise((resolve, reject) => {
    // No secret is told or heard, so it does not matter who vouches for the server.
    const socket = isSecure
      ? connectTls({ host, port, ...tls, rejectUnauthorized: false })
      : connect({ host, port })
    let answer = ''
    let isConnected = false
    const timer = nodeClock.setTimer(timeoutMs, () => {
      reject(new TimeoutError(`the answer to ${word}`, timeoutMs))
      socket.destroy()
    })
    socket.once('connect', () => (isConnected = true))
    socket.once(isSecure ? 'secureConnect' : 'connect', () => socket.write(word))
    socket.setEncoding('utf8').on('data', (text: string) => (answer += text))
    socket.on('error', error => !isConnected && reject(error))
    socket.once('close', () => {
      timer.cancel()
      resolve(answer)
    })
  })
}
