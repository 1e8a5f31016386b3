/**
 * Where a client stands. `connecting`: no session yet. `connected`: the last thing heard was an answer.
 * `readOnly`: connected to a server that is cut off from its ensemble and only reads. `suspended`: no connection;
 * whether the session lives is unknown. `lost`: a server said that the session is gone, and with it every ephemeral
 * znode and watch. `closed`: the end.
 */
export type ConnectionState = 'connecting' | 'connected' | 'readOnly' | 'suspended' | 'lost' | 'closed'

/** A change of state, and why. */
export type StateChange =
  | { readonly state: 'connecting' }
  | {
      readonly state: 'connected' | 'readOnly'
      readonly sessionId: bigint
      /** `false` where the session that was suspended goes on. */
      readonly isNewSession: boolean
    }
  | {
      readonly state: 'suspended'
      /**
       * The connection broke; or the server was silent for two thirds of the session timeout; or the client goes to
       * another server of its own will.
       */
      readonly reason: 'disconnected' | 'silent' | 'moving'
      readonly cause?: Error | undefined
    }
  | { readonly state: 'lost'; readonly reason: 'expired'; readonly sessionId: bigint }
  | {
      readonly state: 'closed'
      /**
       * `closed` and `detached`: as asked. `expired`: lost, and no new session was wanted. `authFailed`: the server
       * refused the credentials, which no other attempt would change.
       */
      readonly reason: 'closed' | 'detached' | 'expired' | 'authFailed'
    }

/** What names a session towards a server. Whoever has the password can attach to it: keep it secret. */
export interface SessionCredentials {
  readonly sessionId: bigint
  readonly sessionPassword: Uint8Array
}

/** A confirmed session. */
export interface SessionInfo extends SessionCredentials {
  /** The session timeout that the server granted, in milliseconds. */
  readonly negotiatedTimeoutMs: number
}
