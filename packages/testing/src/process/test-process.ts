import { deferred } from '@conclave/core'
import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { killAtExit } from './reaper.ts'

/** How much of a process's output is kept, in characters: enough to see why it failed. */
const MAX_OUTPUT_CHARS = 64 * 1024

export interface TestProcessOptions {
  /** What errors call it. Default: its command line. */
  readonly name?: string
  /** The folder it runs in. Default that of this process. */
  readonly cwd?: string
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>
}

/** How a process ended: its exit code, or the signal that ended it. */
export interface ProcessEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

const running = new Set<TestProcess>()

/** The processes started by `TestProcess` that have not ended: what a test left behind. */
export function runningProcesses(): readonly TestProcess[] {
  return [...running]
}

/** A real process for a test: its output can be read and waited for, and it never outlives the test process. */
export class TestProcess {
  /** What errors call it. */
  readonly name: string
  /** Settles when it has ended. Never rejects. */
  readonly ended: Promise<ProcessEnd>
  readonly #child: ChildProcess
  readonly #lineListeners = new Set<(line: string) => void>()
  #stdout = ''
  #stderr = ''

  constructor(command: string, args: readonly string[], options: TestProcessOptions = {}) {
    this.name = options.name ?? [command, ...args].join(' ')
    this.#child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...process.env, ...options.env },
    })
    const ended = deferred<ProcessEnd>()
    this.ended = ended.promise
    running.add(this)
    const forget = this.#child.pid === undefined ? () => {} : killAtExit(this.#child.pid)
    this.#child.once('error', error => {
      this.#stderr += error.message
      if (this.#child.pid === undefined) onEnd(null, null)
    })
    const onEnd = (code: number | null, signal: NodeJS.Signals | null): void => {
      running.delete(this)
      forget()
      ended.resolve({ code, signal })
    }
    // `close` comes after the last output; `exit` may come before it.
    this.#child.once('close', onEnd)
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-MAX_OUTPUT_CHARS)
    })
    createInterface({ input: this.#child.stdout! }).on('line', line => {
      this.#stdout = `${this.#stdout}${line}\n`.slice(-MAX_OUTPUT_CHARS)
      for (const listener of [...this.#lineListeners]) listener(line)
    })
  }

  /** -1 when it could not be started at all. */
  get pid(): number {
    return this.#child.pid ?? -1
  }

  /** Whether it has not ended yet. */
  get isRunning(): boolean {
    return running.has(this)
  }

  /** The tail of what it wrote to standard output so far. */
  get stdout(): string {
    return this.#stdout
  }

  /** The tail of what it wrote to standard error so far. */
  get stderr(): string {
    return this.#stderr
  }

  /**
   * Resolves with what `parse` makes of the first line of standard output for which it gives something, from now on.
   * Rejects when the process ends first, with its standard error in the message.
   */
  line<T>(parse: (line: string) => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const listener = (line: string): void => {
        const value = parse(line)
        if (value === undefined) return
        this.#lineListeners.delete(listener)
        resolve(value)
      }
      this.#lineListeners.add(listener)
      void this.ended.then(end => {
        this.#lineListeners.delete(listener)
        reject(new Error(`${this.name} ended (${describeEnd(end)}): ${this.#stderr}`))
      })
    })
  }

  /** Sends a signal: SIGSTOP and SIGCONT for a process that hangs, say. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Ends it without warning. Resolves when it is gone. */
  kill(): Promise<ProcessEnd> {
    this.signal('SIGKILL')
    return this.ended
  }

  /** Asks it to end, and kills it if it has not after `graceMs` (default 10,000). */
  async terminate(graceMs = 10_000): Promise<ProcessEnd> {
    this.signal('SIGTERM')
    const timer = setTimeout(() => this.signal('SIGKILL'), graceMs)
    const end = await this.ended
    clearTimeout(timer)
    return end
  }
}

/** `exit code 1`, `SIGKILL`. */
export function describeEnd({ code, signal }: ProcessEnd): string {
  return signal === null ? `exit code ${code ?? 'unknown'}` : signal
}
