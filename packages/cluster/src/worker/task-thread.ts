import { performance } from 'node:perf_hooks'
import { parentPort, workerData } from 'node:worker_threads'
import { MAX_VALUE_BYTES, shortened, type TaskError } from '../jobs/segment.ts'
import { isTaskNamed, taskModuleName, type TaskContext } from '../task.ts'
import type { ThreadChunk, ThreadData, ThreadMessage } from './thread-messages.ts'
import type { TaskOutcome } from './worker-machine.ts'

// The body of a task thread: it loads the user's modules, then runs chunks one after the other.

/** How long results are gathered before they are sent: a message between threads costs as much as a small task. */
const FLUSH_AFTER_MS = 5

type AnyTask = (input: unknown, context: TaskContext) => unknown

const port = parentPort!
const data = workerData as ThreadData
const begun = new Int32Array(data.begun)
const tasks = new Map<string, AnyTask>()

let outcomes: TaskOutcome[] = []
let flushedAtMs = performance.now()

function send(message: ThreadMessage): void {
  port.postMessage(message)
}

function flush(): void {
  flushedAtMs = performance.now()
  if (outcomes.length === 0) return
  send({ type: 'outcomes', outcomes })
  outcomes = []
}

async function loadModules(): Promise<boolean> {
  for (const module of [...data.imports, ...data.modules]) {
    try {
      const exported = (await import(module)) as Record<string, unknown>
      if (!data.modules.includes(module)) continue
      for (const [name, value] of Object.entries(exported)) {
        if (typeof value === 'function')
          tasks.set(`${taskModuleName(new URL(module))}#${name}`, value as AnyTask)
      }
    } catch (error) {
      const { message, stack } = describe(error)
      send({ type: 'unloadable', module, message, stack: stack ?? '' })
      return false
    }
  }
  return true
}

function describe(error: unknown): TaskError {
  if (!(error instanceof Error)) return shortened({ name: 'Error', message: String(error) })
  const { name, message, stack } = error
  return shortened({ name, message, ...(stack === undefined ? {} : { stack }) })
}

async function runTask(chunk: ThreadChunk, at: number): Promise<TaskOutcome> {
  const index = chunk.indexes[at]!
  const attempt = chunk.attempts[at]!
  const startedAtMs = performance.now()
  const done = (end: TaskOutcome['end'], json: string): TaskOutcome => {
    return { index, attempt, end, runMs: performance.now() - startedAtMs, json }
  }
  try {
    const run = findTask(chunk.task)
    const context: TaskContext = {
      jobId: chunk.jobId,
      index,
      attempt,
      workerId: data.workerId,
      fencingToken: chunk.fencingToken,
    }
    let value = run(JSON.parse(chunk.inputs[at]!), context)
    if (value instanceof Promise) value = await value
    return done('succeeded', encodeValue(value))
  } catch (error) {
    return done('failed', JSON.stringify(describe(error)))
  }
}

function findTask(name: string): AnyTask {
  const exact = tasks.get(name)
  if (exact !== undefined) return exact
  for (const [full, task] of tasks) if (isTaskNamed(full, name)) return task
  throw new Error(`this node has no task '${name}'; it has ${[...tasks.keys()].join(', ')}`)
}

/** `undefined` becomes `null`, as it does inside JSON. */
function encodeValue(value: unknown): string {
  const json = JSON.stringify(value) ?? 'null'
  if (json.length * 3 > MAX_VALUE_BYTES && Buffer.byteLength(json) > MAX_VALUE_BYTES) {
    const bytes = Buffer.byteLength(json)
    throw new Error(
      `the result has ${bytes} bytes as JSON, the limit is ${MAX_VALUE_BYTES}; return less, or a reference`,
    )
  }
  return json
}

async function runChunk(chunk: ThreadChunk): Promise<void> {
  for (let at = 0; at < chunk.indexes.length; at++) {
    Atomics.store(begun, 0, at + 1)
    const outcome = await runTask(chunk, at)
    outcomes.push(outcome)
    if (performance.now() - flushedAtMs > FLUSH_AFTER_MS) flush()
  }
  flush()
}

// What was finished before a task called process.exit must not run again.
process.on('exit', flush)

if (await loadModules()) {
  port.on('message', (chunk: ThreadChunk) => void runChunk(chunk))
  send({ type: 'ready', tasks: [...tasks.keys()] })
}
