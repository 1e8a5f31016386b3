import type { JuteReader } from './jute-reader.ts'
import type { JuteWriter } from './jute-writer.ts'

/** One record's encoder and decoder: fields in the order of the wire, the same for both sides. */
export interface Codec<T> {
  write(writer: JuteWriter, record: T): void
  /** Throws `ProtocolError`. */
  read(reader: JuteReader): T
}

/** The record without fields. */
export const Empty: Codec<void> = { write: () => {}, read: () => undefined }

/** A request, its answer, and the number that names them on the wire. */
export interface Operation<Request, Response> {
  readonly name: string
  readonly opCode: number
  readonly request: Codec<Request>
  readonly response: Codec<Response>
}
