/** What a task is told beside its input. */
export interface TaskContext {
  readonly jobId: string
  /** The task's place among the job's inputs. */
  readonly index: number
  /** 1 for the first try. A task may run more than once (its worker can die), so what it does outside should be idempotent. */
  readonly attempt: number
  /** The node that runs it. */
  readonly workerId: string
  /**
   * The term of the leader that handed it out: a number that only grows. Hand it to whatever the task writes to, and
   * let that refuse a lower one than it has seen.
   */
  readonly fencingToken: bigint
}

/** One unit of work: an exported function of a task module. Input and output travel as JSON. */
export type TaskFunction<Input = never, Output = unknown> = (
  input: Input,
  context: TaskContext,
) => Output | Promise<Output>

/** The names of those exports of a module (`typeof import('./tasks.js')`) that are tasks. */
export type TaskName<Module> = {
  [Name in keyof Module & string]: Module[Name] extends TaskFunction ? Name : never
}[keyof Module & string]

/** What a task takes. */
export type TaskInput<Module, Name extends keyof Module> = Module[Name] extends (
  input: infer Input,
  ...rest: never[]
) => unknown
  ? Input
  : never

/** What a task gives, as its submitter gets it. */
export type TaskOutput<Module, Name extends keyof Module> = Module[Name] extends (
  ...args: never[]
) => infer Output
  ? Awaited<Output>
  : never

/** A module of any shape: for submitters that do not have the types. */
// oxlint-disable-next-line typescript/no-explicit-any -- the point is that nothing is known
export type AnyTaskModule = Record<string, (input: any, context: TaskContext) => any>

/** The name under which a module's exports are known: the file's, without folder and ending. */
export function taskModuleName(url: URL): string {
  const file = decodeURIComponent(url.pathname.slice(url.pathname.lastIndexOf('/') + 1))
  return file.replace(/\.[cm]?[jt]sx?$/, '')
}

/** Whether a worker's task (`module#function`) is the one that a job names (in full, or by the function alone). */
export function isTaskNamed(full: string, asked: string): boolean {
  return full === asked || (!asked.includes('#') && full.endsWith(`#${asked}`))
}
