import { codeOf, ConclaveError, messageOf } from './errors.ts'

/** A host name or address, and a TCP port. */
export interface Endpoint {
  readonly host: string
  readonly port: number
  /** The name by which the host was found, where `host` is the address it stood for: its certificate is for that. */
  readonly name?: string
}

/** What the other side of a connection has proven of itself by a certificate. */
export interface PeerIdentity {
  /** The subject of its certificate, as RFC 2253 writes it. */
  readonly distinguishedName: string
}

/** `host:port`, with brackets around an IPv6 address. */
export function formatEndpoint({ host, port }: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Nothing can listen at that address: its port is taken, or not permitted, or the address is not this host's. */
export class ListenError extends ConclaveError {
  override readonly name = 'ListenError'
  constructor(endpoint: Endpoint, cause: unknown) {
    const reason = LISTEN_REASONS[codeOf(cause) ?? ''] ?? messageOf(cause)
    super(`cannot listen on ${formatEndpoint(endpoint)}: ${reason}`, { code: 'LISTEN', cause })
  }
}

const LISTEN_REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use; choose another, or 0 for any that is free',
  EACCES: 'this user may not use the port; choose one above 1023',
  EADDRNOTAVAIL: 'this host does not have that address',
}

/** What the owner of a connection is told. Each method may be called until `onClose`, which is called once. */
export interface ConnectionHandler {
  /** An outgoing connection is established. Never called on an accepted one. */
  onConnect?(): void
  /** Bytes arrived, cut anywhere. The buffer may be kept. */
  onData(bytes: Buffer): void
  /** What `write` had to hold back has gone out. */
  onDrain?(): void
  /** The connection is over, for whatever reason; `error` says which, where the peer did not end it in order. */
  onClose(error?: Error): void
}

/** One byte stream. */
export interface Connection {
  readonly remote: Endpoint
  /** With TLS, once the peer has shown a certificate that was verified. */
  readonly peer?: PeerIdentity | undefined
  /** Whether it goes over TLS. Default `false`. */
  readonly isSecure?: boolean
  /** Hands over the handler; no event is delivered, and no byte read, before. */
  start(handler: ConnectionHandler): void
  /** Takes the bytes, which must not be changed any more; `false` when they wait in memory, until `onDrain`. */
  write(bytes: Uint8Array): boolean
  /**
   * How many of the bytes written wait in memory still. Right after a `write`, 0 says that the system has copied all of them,
   * so that their memory may be used again. Absent where that cannot be said.
   */
  readonly heldBytes?: number | undefined
  /** Stops, and resumes, the reading: back-pressure on the peer. */
  pause(): void
  resume(): void
  /** Sends what was written, then ends the stream. */
  end(): void
  /** Ends at once; what was not sent is dropped. */
  destroy(): void
}

/** What accepts connections, until it is closed. */
export interface Listener {
  /** Where it listens; the port is the real one when 0 was asked. */
  readonly endpoint: Endpoint
  /** Stops accepting. Connections that were accepted go on. */
  close(): Promise<void>
}

/** The network as a port: the platform's own, one with TLS, or a simulated one. */
export interface Network {
  /** Begins to connect. Failure is told by `onClose`, as is the end of an established connection. */
  connect(endpoint: Endpoint): Connection
  /** Resolves when connections are accepted; rejects with `ListenError` when they never will be. */
  listen(endpoint: Endpoint, onConnection: (connection: Connection) => void): Promise<Listener>
  /** Every address of a name; the address itself for an address. */
  lookup(host: string): Promise<readonly string[]>
  /** The hosts and ports of a DNS SRV name, the most preferred first. Absent where there is no DNS. */
  lookupService?(name: string): Promise<readonly Endpoint[]>
}
