import type { Codec } from '../codec.ts'
import { Stat } from '../records/stat.ts'

/** The shape of several requests: a path and whether to leave a one-shot watch there. */
export interface PathWatchRequest {
  readonly path: string
  readonly watch: boolean
}

export const PathWatchRequest: Codec<PathWatchRequest> = {
  write(writer, request) {
    writer.string(request.path)
    writer.bool(request.watch)
  },
  read: reader => ({ path: reader.frequentString(), watch: reader.bool() }),
}

/** The shape of several requests and answers: a path and nothing else. */
export interface PathRecord {
  readonly path: string
}

export const PathRecord: Codec<PathRecord> = {
  write: (writer, record) => writer.string(record.path),
  read: reader => ({ path: reader.string() }),
}

/** A path and the version that its data must have; -1 for any. */
export interface PathVersionRequest {
  readonly path: string
  readonly version: number
}

export const PathVersionRequest: Codec<PathVersionRequest> = {
  write(writer, request) {
    writer.string(request.path)
    writer.int32(request.version)
  },
  read: reader => ({ path: reader.string(), version: reader.int32() }),
}

/** An answer that is a stat and nothing else. */
export interface StatResponse {
  readonly stat: Stat
}

export const StatResponse: Codec<StatResponse> = {
  write: (writer, response) => Stat.write(writer, response.stat),
  read: reader => ({ stat: Stat.read(reader) }),
}

/** A list of strings and nothing else. */
export function writeStrings(
  writer: Parameters<typeof PathRecord.write>[0],
  strings: readonly string[],
): void {
  writer.vector(strings, item => writer.string(item))
}

/** A list of strings; `null`, which some clients send for an empty one, is taken as that. */
export function readStrings(reader: Parameters<typeof PathRecord.read>[0]): string[] {
  return reader.vector(4, () => reader.string())
}
