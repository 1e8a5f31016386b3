import { AuthRequest, ErrorCode, type JuteReader } from '@conclave/protocol'
import type { ClientConnection } from '../net/client-connection.ts'
import { passwordDigest } from '../state/access.ts'

/** Schemes whose identity comes with the connection: its address, and its certificate. */
const CONNECTION_SCHEMES: ReadonlySet<string> = new Set(['ip', 'x509'])

/**
 * Adds the identity that a request proves, and answers. A password cannot be wrong: another one is another identity. A
 * scheme that proves nothing ends the connection.
 */
export function authenticate(
  client: ClientConnection,
  xid: number,
  reader: JuteReader,
  superDigest: string | undefined,
): void {
  const { scheme, auth } = AuthRequest.read(reader)
  const start = client.beginFrame(xid, 0)
  if (scheme === 'digest') {
    const digest = passwordDigest(Buffer.from(auth ?? []).toString())
    if (digest === superDigest) client.addIdentity('super', '')
    client.addIdentity('digest', digest)
    return client.endFrame(start)
  }
  if (client.identities.some(identity => identity.scheme === scheme && CONNECTION_SCHEMES.has(scheme))) {
    return client.endFrame(start)
  }
  client.failFrame(start, ErrorCode.authFailed)
  client.endAfterFlush()
}
