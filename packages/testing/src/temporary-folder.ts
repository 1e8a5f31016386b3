import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { removeAtExit } from './process/reaper.ts'

/** An empty folder of its own, gone when it is removed or when this process ends, whichever comes first. */
export class TemporaryFolder implements AsyncDisposable {
  /** Where it is; absolute. */
  readonly path: string
  readonly #forget: () => void

  constructor() {
    this.path = mkdtempSync(join(tmpdir(), 'conclave-test-'))
    this.#forget = removeAtExit(this.path)
  }

  /** Idempotent. */
  async remove(): Promise<void> {
    // Processes that are just ending may still be writing, so a folder found not empty is tried again.
    await rm(this.path, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
    this.#forget()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.remove()
  }
}

/** Makes a `TemporaryFolder`. */
export function temporaryFolder(): TemporaryFolder {
  return new TemporaryFolder()
}
