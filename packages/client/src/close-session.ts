import type { Clock, Endpoint, Network } from '@conclave/core'
import { closeSession as closeSessionOperation, type ConnectResponse } from '@conclave/protocol'
import { Connection } from './connection.ts'
import type { SessionCredentials } from './connection-state.ts'
import { ConnectionLossError } from './errors.ts'
import { toHostProvider, type ConnectTarget } from './host-provider.ts'
import { resolveOptions, type ConnectOptions } from './options.ts'

/**
 * Attaches to a session and closes it, so that its ephemeral znodes go at once: for whoever knows that its owner is
 * dead. `false` where the session is gone already; rejects with `ConnectionLossError` when no server answered.
 */
export async function closeSession(
  target: ConnectTarget,
  credentials: SessionCredentials,
  options: Pick<ConnectOptions, 'connectTimeoutMs' | 'tls' | 'platform' | 'signal'> = {},
): Promise<boolean> {
  const { platform, connectTimeoutMs } = resolveOptions(options)
  const { hosts } = toHostProvider(target, platform)
  let cause: unknown
  for (const endpoint of await hosts.resolve(options.signal ?? new AbortController().signal)) {
    try {
      return await closeAt(endpoint, credentials, connectTimeoutMs, platform)
    } catch (error) {
      cause = error
    }
  }
  throw new ConnectionLossError({ operation: 'closeSession', outcome: 'unknown', cause })
}

/** The greeting and the request to close go out together: one round trip after that of the TCP connection. */
function closeAt(
  endpoint: Endpoint,
  { sessionId, sessionPassword }: SessionCredentials,
  timeoutMs: number,
  platform: { readonly network: Network; readonly clock: Clock },
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void): void => {
      timer.cancel()
      connection.hangUp()
      settle()
    }
    const timer = platform.clock.setTimer(timeoutMs, () =>
      finish(() => reject(new Error(`no answer within ${timeoutMs} ms`))),
    )
    const onGreeted = (response: ConnectResponse): void => {
      if (response.timeoutMs <= 0) finish(() => resolve(false))
    }
    const connection: Connection = new Connection(
      platform.network.connect(endpoint),
      platform.clock,
      {
        onDialed: () => {
          const password = sessionPassword
          // The highest zxid this session can have seen is not known here; 0 asks for none.
          connection.greet({
            protocolVersion: 0,
            lastZxidSeen: 0n,
            timeoutMs: 10_000,
            sessionId,
            password,
            readOnly: false,
          })
          connection.send(closeSessionOperation, undefined)
          connection.flush()
        },
        onGreeted,
        onReply: () => finish(() => resolve(true)),
        onAuthReply: () => {},
        onSaslReply: () => {},
        onEvent: () => {},
        onClosed: error => finish(() => reject(error ?? new Error('the connection was closed'))),
      },
      { maxRequestBytes: 1024, maxReplyBytes: 1024 * 1024 },
    )
    connection.start()
  })
}
