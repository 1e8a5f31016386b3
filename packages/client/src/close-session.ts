import type { Endpoint } from '@conclave/core'
import { closeSession as closeSessionOperation, ErrorCode, type ConnectResponse } from '@conclave/protocol'
import { Authentication } from './authentication.ts'
import { Connection } from './connection.ts'
import type { SessionCredentials } from './connection-state.ts'
import { ConnectionLossError, ZooKeeperError } from './errors.ts'
import { toHostProvider, type ConnectTarget } from './host-provider.ts'
import { resolveOptions, type ConnectOptions, type ResolvedOptions } from './options.ts'
import { errorFromCode } from './server-errors.ts'

/** The server ended the connection before it said whether it knows the session. */
class UnansweredError extends Error {}

/**
 * Attaches to a session and closes it, so that its ephemeral znodes go at once: for whoever knows that its owner is
 * dead. `false` where the session is gone already; rejects with `ConnectionLossError` when no server answered, and with the
 * error of the last one that did when it would not.
 */
export async function closeSession(
  target: ConnectTarget,
  credentials: SessionCredentials,
  options: Pick<ConnectOptions, 'connectTimeoutMs' | 'auth' | 'sasl' | 'tls' | 'platform' | 'signal'> = {},
): Promise<boolean> {
  const resolved = resolveOptions(options)
  const { hosts } = toHostProvider(target, resolved.platform)
  let cause: unknown
  for (const endpoint of await hosts.resolve(options.signal ?? new AbortController().signal)) {
    try {
      return await closeAt(endpoint, credentials, resolved)
    } catch (error) {
      cause = error
    }
  }
  if (cause instanceof ZooKeeperError) throw cause
  throw new ConnectionLossError({ operation: 'closeSession', outcome: 'unknown', cause })
}

/**
 * The greeting and the request to close go out together: one round trip after that of the TCP connection. A server that
 * does not know the session hangs up with the request unread, and then its answer can get lost on the way: it is asked
 * once more, for that answer alone. Where the client must prove itself first, nothing can go out together.
 */
async function closeAt(
  endpoint: Endpoint,
  credentials: SessionCredentials,
  options: ResolvedOptions,
): Promise<boolean> {
  const mustProve = options.sasl !== undefined || options.auth.length > 0
  if (mustProve) return closeOver(endpoint, credentials, options, 'afterGreeting')
  try {
    return await closeOver(endpoint, credentials, options, 'withGreeting')
  } catch (error) {
    if (!(error instanceof UnansweredError)) throw error
    return closeOver(endpoint, credentials, options, 'afterGreeting')
  }
}

function closeOver(
  endpoint: Endpoint,
  { sessionId, sessionPassword: password }: SessionCredentials,
  { platform, connectTimeoutMs: timeoutMs, auth, sasl }: ResolvedOptions,
  when: 'withGreeting' | 'afterGreeting',
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
    const authentication = new Authentication({ auth, sasl, random: platform.random })
    const askToClose = (): void => {
      authentication.proveAll(connection)
      connection.send(closeSessionOperation, undefined)
      connection.flush()
    }
    const orReject = (prove: () => void): void => {
      try {
        prove()
      } catch (error) {
        finish(() => reject(error as Error))
      }
    }
    let isAsked = false
    let isGreeted = false
    const onGreeted = (response: ConnectResponse): void => {
      isGreeted = true
      if (response.timeoutMs <= 0) finish(() => resolve(false))
      else if (when === 'afterGreeting' && authentication.begin(connection)) askToClose()
    }
    const connection: Connection = new Connection(
      platform.network.connect(endpoint),
      platform.clock,
      {
        onDialed: () => {
          isAsked = true
          // The highest zxid this session can have seen is not known here; 0 asks for none.
          connection.greet({
            protocolVersion: 0,
            lastZxidSeen: 0n,
            timeoutMs: 10_000,
            sessionId,
            password,
            readOnly: false,
          })
          if (when === 'withGreeting') askToClose()
        },
        onGreeted,
        onReply: (_xid, _zxid, errorCode) =>
          finish(() => {
            if (errorCode === 0) return resolve(true)
            if (errorCode === ErrorCode.sessionExpired) return resolve(false)
            reject(errorFromCode(errorCode, { operation: 'closeSession' }))
          }),
        onAuthReply: errorCode => orReject(() => authentication.onAuthReply(errorCode)),
        onSaslReply: (errorCode, reader) =>
          orReject(() => {
            if (authentication.onSaslReply(connection, errorCode, reader)) askToClose()
          }),
        onWatchesReply: () => {},
        onEvent: () => {},
        onClosed: error =>
          finish(() => {
            if (isAsked && !isGreeted) {
              return reject(new UnansweredError('the connection was closed unanswered', { cause: error }))
            }
            reject(error ?? new Error('the connection was closed'))
          }),
      },
      { maxRequestBytes: 1024, maxReplyBytes: 1024 * 1024 },
    )
    connection.start()
  })
}
