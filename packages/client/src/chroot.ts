import { UsageError } from '@conclave/core'
import { pathProblem } from '@conclave/protocol'

/** The subtree in which a client lives: put in front of every path on its way out, taken off on its way in. */
export class Chroot {
  /** Empty for the root itself. */
  readonly #prefix: string

  constructor(path: string = '/') {
    const problem = pathProblem(path)
    if (problem !== undefined) throw new UsageError(`chroot ${JSON.stringify(path)}: ${problem}`)
    this.#prefix = path === '/' ? '' : path
  }

  prepend(path: string): string {
    if (this.#prefix === '') return path
    return path === '/' ? this.#prefix : this.#prefix + path
  }

  strip(path: string): string {
    const prefix = this.#prefix
    if (prefix === '' || !path.startsWith(prefix)) return path
    return path.length === prefix.length ? '/' : path.slice(prefix.length)
  }
}
