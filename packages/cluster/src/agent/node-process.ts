import { fork, type ChildProcess } from 'node:child_process'
import type { Clock } from '@conclave/core'
import { AGENT_ENVIRONMENT_VARIABLE, parseAgentMessage, type AgentMessage } from './agent-messages.ts'

/** How to start the process of a node. */
export interface NodeProgram {
  /** The path of a JavaScript module; it calls `joinCluster`, or `agentChannel` itself. */
  readonly program: string
  readonly args?: readonly string[]
  /** Set over the agent's own environment. */
  readonly env?: Readonly<Record<string, string>>
  /** Options of Node.js itself. Default: those of this process. */
  readonly execArgv?: readonly string[]
}

/** How the process of a node ended. */
export interface NodeExit {
  /** `null` when a signal ended it, or when it could not be started. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Only when it could not be started. */
  readonly error?: Error
}

export interface NodeProcessHandler {
  onMessage(message: AgentMessage): void
  /** The kernel says that the process is gone. Called once. */
  onExit(exit: NodeExit): void
}

/** One running process of a node. */
export class NodeProcess {
  readonly #child: ChildProcess
  readonly #clock: Clock
  #hasExited = false

  constructor(program: NodeProgram, clock: Clock, handler: NodeProcessHandler) {
    this.#clock = clock
    this.#child = fork(program.program, [...(program.args ?? [])], {
      env: { ...process.env, ...program.env, [AGENT_ENVIRONMENT_VARIABLE]: '1' },
      ...(program.execArgv === undefined ? {} : { execArgv: [...program.execArgv] }),
      // What a node prints is for people: the agent's own standard output may be data.
      stdio: ['ignore', process.stderr.fd, process.stderr.fd, 'ipc'],
    })
    const exited = (exit: NodeExit): void => {
      if (this.#hasExited) return
      this.#hasExited = true
      handler.onExit(exit)
    }
    this.#child.on('message', message => {
      const parsed = parseAgentMessage(message)
      if (parsed !== undefined) handler.onMessage(parsed)
    })
    this.#child.on('exit', (code, signal) => exited({ code, signal }))
    this.#child.on('error', error => {
      // Also emitted for a message that could not be sent; only a process without a pid was never started.
      if (this.#child.pid === undefined) exited({ code: null, signal: null, error })
    })
  }

  /** `undefined` when the process could not be started. */
  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Asks the process to end, and makes it end when it has not within `graceMs`. */
  stop(graceMs: number): void {
    if (this.#hasExited) return
    this.#child.kill('SIGTERM')
    const timer = this.#clock.setTimer(graceMs, () => this.#child.kill('SIGKILL'))
    this.#child.once('exit', () => timer.cancel())
  }
}
