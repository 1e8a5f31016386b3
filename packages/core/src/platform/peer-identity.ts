import type { PeerCertificate, TLSSocket } from 'node:tls'
import type { PeerIdentity } from '../network.ts'

/** Whether a socket speaks TLS. */
export function isSecure(socket: object): socket is TLSSocket {
  return (socket as Partial<TLSSocket>).encrypted === true
}

/** Who the other side of a socket has proven to be by its certificate. */
export function peerIdentityOf(socket: object): PeerIdentity | undefined {
  if (!isSecure(socket) || !socket.authorized) return undefined
  const certificate = socket.getPeerCertificate()
  return Object.keys(certificate).length === 0
    ? undefined
    : { distinguishedName: distinguishedName(certificate) }
}

/** RFC 2253: the most specific part first, as Java's `X500Principal.getName()` writes it. */
function distinguishedName({ subject }: PeerCertificate): string {
  return Object.entries(subject)
    .flatMap(([type, value]) => [value].flat().map(part => `${type}=${escapePart(String(part))}`))
    .reverse()
    .join(',')
}

function escapePart(text: string): string {
  return text
    .replace(/[,+"\\<>;]/g, '\\$&')
    .replace(/^[ #]/, '\\$&')
    .replace(/ $/, '\\ ')
}
