import { once } from 'node:events'
import { open } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { codeOf, ConclaveError, UsageError } from '@conclave/core'

/** Lines gather up to this size before they are handed to the system: a write of its own for each would cost more. */
const MAX_GATHERED_CHARS = 65_536

/**
 * Writes lines to standard output or to a file. `write` waits while the reader is behind; what gathered goes out at
 * the end of the event loop's turn. A failure (`EPIPE`, `ENOSPC`) comes out of the next call.
 */
export class LineWriter {
  readonly #stream: Writable
  readonly #name: string
  #gathered = ''
  #flush: NodeJS.Immediate | undefined
  #error: Error | undefined

  private constructor(stream: Writable, name: string) {
    this.#stream = stream
    this.#name = name
    stream.on('error', error => (this.#error ??= error))
  }

  /** Opens the file, emptying it, or standard output where `path` is `undefined`. */
  static async open(path: string | undefined): Promise<LineWriter> {
    if (path === undefined) return new LineWriter(process.stdout, 'standard output')
    const file = await open(path, 'w').catch((error: unknown) => {
      throw new UsageError(
        `cannot write to '${path}' (${codeOf(error)}): name another file with --output`,
        error,
      )
    })
    return new LineWriter(file.createWriteStream(), path)
  }

  async write(line: string): Promise<void> {
    this.#throwIfFailed()
    this.#gathered += `${line}\n`
    if (this.#gathered.length < MAX_GATHERED_CHARS) {
      this.#flush ??= setImmediate(() => this.#send())
      return
    }
    if (this.#send()) return
    await once(this.#stream, 'drain').catch(() => {})
    this.#throwIfFailed()
  }

  /** As `write`, for a caller that cannot wait. Standard output takes files' and pipes' bytes at once. */
  push(line: string): void {
    this.#throwIfFailed()
    this.#gathered += `${line}\n`
    if (this.#gathered.length >= MAX_GATHERED_CHARS) this.#send()
  }

  /** Resolves when every line has been taken by the system. */
  async end(): Promise<void> {
    this.#send()
    await new Promise<void>(resolve => {
      // Standard output is not this writer's to close.
      if (this.#stream === process.stdout) this.#stream.write('', () => resolve())
      else this.#stream.end(() => resolve())
    })
    this.#throwIfFailed()
  }

  #send(): boolean {
    clearImmediate(this.#flush)
    this.#flush = undefined
    const lines = this.#gathered
    this.#gathered = ''
    return lines === '' || this.#error !== undefined || this.#stream.write(lines)
  }

  #throwIfFailed(): void {
    if (this.#error === undefined) return
    if (codeOf(this.#error) === 'EPIPE') throw this.#error
    const message = `cannot write to ${this.#name}: ${this.#error.message}`
    throw new ConclaveError(message, { code: 'OUTPUT', cause: this.#error })
  }
}
