import { ConclaveError } from '@conclave/core'

/** The embedded server could not be started. The message is the server's own sentence. */
export class EmbeddedServerError extends ConclaveError {
  override readonly name = 'EmbeddedServerError'
  constructor(message: string, cause?: unknown) {
    super(message, { code: 'EMBEDDED_SERVER', cause })
  }
}
