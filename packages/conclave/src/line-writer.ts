import { once } from 'node:events'
import { open, type FileHandle } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
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
  readonly #file: FileHandle | undefined
  #gathered = ''
  #flush: NodeJS.Immediate | undefined
  #error: Error | undefined
  readonly #failed = new AbortController()

  private constructor(stream: Writable, name: string, file?: FileHandle) {
    this.#stream = stream
    this.#name = name
    this.#file = file
    stream.on('error', error => {
      this.#error ??= error
      this.#failed.abort()
    })
  }

  /** Aborts when there is nobody any more to write for: the reader has gone, or the disk is full. */
  get failed(): AbortSignal {
    return this.#failed.signal
  }

  /**
   * Opens the file, or standard output where `path` is `undefined`. What the file holds stays until `begin`. Throws
   * `UsageError` where it cannot be written to.
   */
  static async open(path: string | undefined): Promise<LineWriter> {
    if (path === undefined) return new LineWriter(process.stdout, 'standard output')
    const file = await open(path, 'a').catch((error: unknown) => {
      throw new UsageError(
        `cannot write to '${path}' (${codeOf(error)}): name another file with --output`,
        error,
      )
    })
    return new LineWriter(file.createWriteStream(), path, file)
  }

  /** Empties the file: from now on there is something better to put into it. */
  async begin(): Promise<void> {
    // A device or a pipe has nothing in it.
    if ((await this.#file?.stat())?.isFile() === true) await this.#file!.truncate()
  }

  async write(line: string): Promise<void> {
    this.#throwIfFailed()
    this.#gathered += `${line}\n`
    if (this.#gathered.length < MAX_GATHERED_CHARS) return this.#sendSoon()
    if (this.#send()) return
    await once(this.#stream, 'drain').catch(() => {})
    this.#throwIfFailed()
  }

  /** As `write`, for a caller that cannot wait. Standard output takes files' and pipes' bytes at once. */
  push(line: string): void {
    this.#throwIfFailed()
    this.#gathered += `${line}\n`
    if (this.#gathered.length >= MAX_GATHERED_CHARS) this.#send()
    else this.#sendSoon()
  }

  /** Resolves when every line has been taken by the system. */
  async end(): Promise<void> {
    this.#send()
    try {
      await this.#taken()
    } catch (error) {
      // What went wrong first is what there is to tell; this may only be its echo.
      this.#error ??= this.#stream.errored ?? (error as Error)
    }
    this.#throwIfFailed()
  }

  #taken(): Promise<void> {
    if (this.#file !== undefined) return finished(this.#stream.end())
    // Standard output is not this writer's to close.
    return new Promise((resolve, reject) => {
      this.#stream.write('', error => (error ? reject(error) : resolve()))
    })
  }

  #sendSoon(): void {
    this.#flush ??= setImmediate(() => this.#send())
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
