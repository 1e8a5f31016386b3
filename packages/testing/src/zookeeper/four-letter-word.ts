import type { Endpoint } from '@conclave/core'
import { connect } from 'node:net'

/**
 * Sends one of ZooKeeper's four-letter words (`ruok`, `srvr`, `mntr`, ...) and resolves with the whole answer, which
 * is empty where the server closes without one. Rejects when it cannot connect or waits longer than `timeoutMs`
 * (default 5,000).
 */
export function fourLetterWord(endpoint: Endpoint, word: string, timeoutMs = 5_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(endpoint)
    const chunks: Buffer[] = []
    socket.setTimeout(timeoutMs, () =>
      socket.destroy(new Error(`${word} was not answered in ${timeoutMs} ms`)),
    )
    socket.once('connect', () => socket.write(word))
    socket.on('data', chunk => chunks.push(chunk))
    socket.once('error', reject)
    socket.once('close', () => resolve(Buffer.concat(chunks).toString()))
  })
}
