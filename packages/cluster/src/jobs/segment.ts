import { ConclaveError } from '@conclave/core'

/**
 * The largest payload of one segment, and so of one transaction that writes it. Half of ZooKeeper's default limit
 * for a request (`jute.maxbuffer`, just below 1 MiB), so that a segment still fits beside what goes with it.
 */
export const MAX_SEGMENT_BYTES = 512 * 1024

/** The largest JSON text of one input or one result: it must fit into a segment of its own. */
export const MAX_VALUE_BYTES = 900 * 1024

/**
 * Segments are lines of JSON, one task each. The leader cuts and joins lines and never parses a value: what it
 * spends on a task does not depend on what the task is about.
 */
export function splitLines(data: Uint8Array | null): string[] {
  if (data === null || data.length === 0) return []
  return Buffer.from(data.buffer, data.byteOffset, data.length).toString().split('\n')
}

export function joinLines(lines: readonly string[]): Buffer {
  return Buffer.from(lines.join('\n'))
}

/** Tasks that a leader has begun in its own process. */
export interface Begun {
  readonly workerId: string
  /** Names the process: a later one of the same id has another. */
  readonly incarnation: string
  readonly items: readonly (readonly [index: number, attempt: number])[]
}

export function encodeBegun(begun: Begun): Buffer {
  return Buffer.from(JSON.stringify(begun))
}

export function decodeBegun(data: Uint8Array | null): Begun | undefined {
  return data === null ? undefined : (JSON.parse(Buffer.from(data).toString()) as Begun)
}

/** How a task ended for good. */
export type TaskEnd = 'succeeded' | 'failed'

/** What a task threw, as far as JSON can say it. */
export interface TaskError {
  readonly name: string
  readonly message: string
  readonly stack?: string
}

/** Of each part of an error: enough for people, and nothing beside what a segment holds. */
const MAX_ERROR_CHARS = 8_192

/** The same error, its texts cut to a length that can always be recorded. */
export function shortened(error: TaskError): TaskError {
  const cut = (text: string): string =>
    text.length <= MAX_ERROR_CHARS
      ? text
      : `${text.slice(0, MAX_ERROR_CHARS)} ... (${text.length} characters)`
  const { name, message, stack } = error
  return { name: cut(name), message: cut(message), ...(stack === undefined ? {} : { stack: cut(stack) }) }
}

/** One recorded result. `json` is the value of a task that succeeded, or the `TaskError` of one that failed. */
export interface RecordedResult {
  readonly index: number
  readonly end: TaskEnd
  readonly attempt: number
  readonly workerId: string
  readonly json: string
}

/** `[index, 1 for a failure, attempt, "worker", value]`: what a takeover needs stands first, before any value. */
export function encodeResult(result: RecordedResult): string {
  const failed = result.end === 'failed' ? 1 : 0
  return `[${result.index},${failed},${result.attempt},${JSON.stringify(result.workerId)},${result.json}]`
}

/** A result segment holds a line that is not a result. */
export class CorruptSegmentError extends ConclaveError {
  override readonly name = 'CorruptSegmentError'
  constructor(path: string, line: string) {
    super(`${path} holds a line that is not a result: ${line.slice(0, 60)}`, { code: 'CORRUPT_SEGMENT' })
  }
}

/** The index and the end of a result, without parsing its value. */
export function peekResult(line: string, path: string): { index: number; end: TaskEnd } {
  const match = /^\[(\d+),([01]),/.exec(line)
  if (match === null) throw new CorruptSegmentError(path, line)
  return { index: Number(match[1]), end: match[2] === '1' ? 'failed' : 'succeeded' }
}

/** A whole result, its value parsed. */
export interface ParsedResult {
  readonly index: number
  readonly end: TaskEnd
  readonly attempt: number
  readonly workerId: string
  readonly value: unknown
}

export function parseResult(line: string, path: string): ParsedResult {
  let parsed: unknown
  try {
    parsed = JSON.parse(line)
  } catch {
    throw new CorruptSegmentError(path, line)
  }
  if (!Array.isArray(parsed) || parsed.length !== 5) throw new CorruptSegmentError(path, line)
  const [index, failed, attempt, workerId, value] = parsed as [number, number, number, string, unknown]
  return { index, end: failed === 1 ? 'failed' : 'succeeded', attempt, workerId, value }
}

/**
 * Gathers lines into segments of at most `MAX_SEGMENT_BYTES` (a single longer line gets one of its own). Lengths
 * are counted in bytes of UTF-8.
 */
export class SegmentBuilder {
  #lines: string[] = []
  #bytes = 0

  /** The lines of the segment that is full now, if `line` no longer fits into it; `line` begins the next one. */
  add(line: string): string[] | undefined {
    const bytes = Buffer.byteLength(line) + 1
    let full: string[] | undefined
    if (this.#bytes + bytes > MAX_SEGMENT_BYTES && this.#lines.length > 0) full = this.take()
    this.#lines.push(line)
    this.#bytes += bytes
    return full
  }

  /** What is left, and starts again. */
  take(): string[] {
    const taken = this.#lines
    this.#lines = []
    this.#bytes = 0
    return taken
  }
}
