/** What the exit code of a command says. */
export const ExitCode = {
  ok: 0,
  /** What was asked for was tried and did not work out, or not all of it. */
  failure: 1,
  /** It was asked for in a way that can never work. */
  usage: 2,
  /** Ended by Ctrl-C before it was done, as shells count it: 128 and the number of the signal. */
  interrupted: 130,
} as const

/** Ends the command with this code; all that is to be said was said. */
export class Exit extends Error {
  override readonly name = 'Exit'
  readonly exitCode: number
  constructor(exitCode: number) {
    super(`exit ${exitCode}`)
    this.exitCode = exitCode
  }
}
