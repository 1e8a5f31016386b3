import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createServer as createPlainServer, isIP, type Socket } from 'node:net'
import { connect as connectTls, createServer, type Server } from 'node:tls'
import { messageOf } from '../errors.ts'
import type { Connection, Endpoint, Listener, Network } from '../network.ts'
import { orFailed } from './failed-connection.ts'
import { startListening } from './node-listener.ts'
import { nodeNetwork } from './node-network.ts'
import { SocketConnection } from './socket-connection.ts'

/** Certificates and keys as PEM texts, and how the other side is checked. */
export interface TlsOptions {
  /** Authorities that the other side's certificate must come from. Default: those that Node.js knows. */
  readonly ca?: string | Buffer | readonly (string | Buffer)[]
  /** The own certificate, with those between it and the authority. A server needs one; a client where it is asked. */
  readonly cert?: string | Buffer
  /** The private key of `cert`. */
  readonly key?: string | Buffer
  /** What `key` is encrypted with, where it is. */
  readonly passphrase?: string
  /** Whether a server's certificate must be for the name, or the address, that was connected to. Default `true`. */
  readonly verifyHostname?: boolean
  /** Of a server: `require` refuses clients without a valid certificate, `request` lets them in unidentified. Default `none`. */
  readonly clientAuth?: 'none' | 'request' | 'require'
}

/**
 * A function is asked again for every connection, so that renewed certificates are used from the next one on. A server for
 * which it throws, or gives what cannot be used, as while files are being replaced, goes on with what it had.
 */
export type TlsSource = TlsOptions | (() => TlsOptions)

/** What a server does when its `TlsSource` fails, once until it works again. Default: a warning of the process. */
export type OnRenewalFailed = (error: unknown) => void

const warnOfRenewal: OnRenewalFailed = error => {
  process.emitWarning(`TLS goes on with the certificates it had: ${messageOf(error)}`)
}

/** Longer than any honest handshake takes. */
const HANDSHAKE_TIMEOUT_MS = 10_000
const MIN_VERSION = 'TLSv1.2'
/** The type of the first record of TLS (RFC 8446, section 5.1). */
const TLS_HANDSHAKE = 22

/** TCP with TLS 1.2 or 1.3. An unverified server is never talked to, an unverified client never let in with `require`. */
export function tlsNetwork(source: TlsSource, onRenewalFailed: OnRenewalFailed = warnOfRenewal): Network {
  const options = typeof source === 'function' ? source : (): TlsOptions => source
  return {
    connect(endpoint) {
      return orFailed(endpoint, () => {
        const { host, port, name = host } = endpoint
        const { verifyHostname = true, ...rest } = options()
        const socket = connectTls({
          ...secureContextOf(rest),
          host,
          port,
          minVersion: MIN_VERSION,
          // An address cannot be a server name (RFC 6066, section 3); the certificate is checked for it all the same.
          ...(isIP(name) === 0 ? { servername: name } : {}),
          ...(verifyHostname ? {} : { checkServerIdentity: () => undefined }),
        })
        socket.setNoDelay(true)
        return new SocketConnection(socket, endpoint, 'secureConnect')
      })
    },

    async listen(endpoint, onConnection) {
      const { server, endHandshakes } = tlsServer(source, onConnection, onRenewalFailed)
      return endingFirst(endHandshakes, await startListening(server, endpoint))
    },

    lookup: host => nodeNetwork.lookup(host),
    lookupService: name => nodeNetwork.lookupService!(name),
  }
}

/**
 * Listens for connections with and without TLS on one port: a handshake begins with a byte that no request of
 * ZooKeeper begins with. Whoever says nothing at all is nobody's connection, and does not stay.
 */
export async function listenUnified(
  source: TlsSource,
  endpoint: Endpoint,
  onConnection: (connection: Connection) => void,
  onRenewalFailed: OnRenewalFailed = warnOfRenewal,
): Promise<Listener> {
  const { server: secure, endHandshakes } = tlsServer(source, onConnection, onRenewalFailed)
  const silent = new Set<Socket>()
  const server = createPlainServer({ noDelay: true }, socket => {
    const giveUp = (): unknown => socket.destroy()
    silent.add(socket)
    socket.setTimeout(HANDSHAKE_TIMEOUT_MS, giveUp)
    socket.once('close', () => silent.delete(socket))
    socket.on('error', () => {})
    socket.once('data', first => {
      silent.delete(socket)
      socket.setTimeout(0, giveUp)
      socket.pause()
      socket.unshift(first)
      if (first[0] === TLS_HANDSHAKE) return secure.emit('connection', socket)
      onConnection(new SocketConnection(socket))
      return socket.resume()
    })
  })
  const endSilent = (): void => {
    for (const socket of silent) socket.destroy()
    endHandshakes()
  }
  return endingFirst(endSilent, await startListening(server, endpoint))
}

/** A listener whose close does not wait for those who are nobody's connection yet. */
function endingFirst(end: () => void, { endpoint, close }: Listener): Listener {
  return {
    endpoint,
    close() {
      end()
      return close()
    },
  }
}

interface TlsServer {
  readonly server: Server
  /** Ends the connections that have not got through their handshakes. */
  endHandshakes(): void
}

function tlsServer(
  source: TlsSource,
  onConnection: (connection: Connection) => void,
  onRenewalFailed: OnRenewalFailed,
): TlsServer {
  const first = typeof source === 'function' ? source() : source
  const { clientAuth = 'none', ...rest } = first
  /** The plain sockets below, by what is the same of them and of the secure ones above. */
  const handshaking = new Map<string, Socket>()
  const server = createServer(
    {
      ...secureContextOf(rest),
      minVersion: MIN_VERSION,
      requestCert: clientAuth !== 'none',
      rejectUnauthorized: clientAuth === 'require',
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      noDelay: true,
    },
    socket => {
      handshaking.delete(remoteOf(socket))
      onConnection(new SocketConnection(socket))
    },
  )
  server.on('connection', socket => {
    const remote = remoteOf(socket)
    handshaking.set(remote, socket)
    socket.once('close', () => {
      if (handshaking.get(remote) === socket) handshaking.delete(remote)
    })
  })
  // A client that does not get through the handshake, or takes too long, leaves its socket behind.
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  if (typeof source === 'function') {
    // Before the server's own listener, which takes the context for the handshake.
    server.prependListener('connection', renewing(server, source, first, onRenewalFailed))
  }
  return {
    server,
    endHandshakes() {
      for (const socket of handshaking.values()) socket.destroy()
    },
  }
}

/** Has the server use what the source says now. */
function renewing(
  server: Server,
  source: () => TlsOptions,
  first: TlsOptions,
  onFailed: OnRenewalFailed,
): () => void {
  let used = first
  let isFailing = false
  return () => {
    try {
      const next = source()
      if (next !== used) {
        checkWhole(next)
        server.setSecureContext(secureContextOf(next))
      }
      used = next
      isFailing = false
    } catch (error) {
      if (!isFailing) onFailed(error)
      isFailing = true
    }
  }
}

/**
 * Throws for files that are just being written: Node.js takes an empty certificate for none, and leaves out the authorities
 * that it cannot read.
 */
function checkWhole({ cert = '', key = '', passphrase, ca = [] }: TlsOptions): void {
  if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey({ key, passphrase }))) {
    throw new Error('the key is not that of the certificate')
  }
  for (const authorities of [ca].flat()) {
    const parts = String(authorities).split('-----BEGIN CERTIFICATE-----').slice(1)
    if (parts.length === 0) throw new Error('the trusted authorities are empty')
    for (const part of parts) new X509Certificate(`-----BEGIN CERTIFICATE-----${part}`)
  }
}

function remoteOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress}:${remotePort}`
}

function secureContextOf({ ca, cert, key, passphrase }: TlsOptions): {
  ca?: (string | Buffer)[]
  cert?: string | Buffer
  key?: string | Buffer
  passphrase?: string
} {
  return {
    ...(ca === undefined ? {} : { ca: [ca].flat() as (string | Buffer)[] }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(passphrase === undefined ? {} : { passphrase }),
  }
}
