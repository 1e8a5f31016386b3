import { ConclaveError } from '@conclave/core'

/** Bytes that do not say what the protocol requires. Decoders throw this and nothing else. */
export class ProtocolError extends ConclaveError {
  override readonly name: string = 'ProtocolError'
  constructor(message: string) {
    super(message, { code: 'PROTOCOL' })
  }
}

/** The bytes end before what they say is whole: with more of them they may be right. */
export class IncompleteError extends ProtocolError {
  override readonly name = 'IncompleteError'
}
