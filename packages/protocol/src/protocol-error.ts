import { ConclaveError } from '@conclave/core'

/** Bytes that do not say what the protocol requires. Decoders throw this and nothing else. */
export class ProtocolError extends ConclaveError {
  override readonly name = 'ProtocolError'
  constructor(message: string) {
    super(message, { code: 'PROTOCOL' })
  }
}
