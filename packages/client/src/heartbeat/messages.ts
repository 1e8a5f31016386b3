import type { Endpoint, TlsOptions } from '@conclave/core'

/** What the thread is started with. */
export interface HeartbeatWorkerData {
  /** When the event loop of the client was last seen to turn; see `SharedTime`. */
  readonly beat: SharedArrayBuffer
  readonly maxStallMs: number
  readonly maxReplyBytes: number
}

/** What the client asks of the thread; `id` names the connection. */
export type ToWorker =
  | {
      readonly type: 'connect'
      readonly id: number
      readonly endpoint: Endpoint
      readonly tls: TlsOptions | undefined
      /** Where the thread notes when it sent the last of its pings that was answered. */
      readonly answered: SharedArrayBuffer
    }
  /** Whole frames, never parts: pings go in between. */
  | { readonly type: 'write'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly type: 'keepAlive'; readonly id: number; readonly intervalMs: number }
  | { readonly type: 'pause' | 'resume' | 'end' | 'destroy'; readonly id: number }
  /** The last: no further connection will be asked for. */
  | { readonly type: 'exit' }

/** What the thread tells of a connection. */
export type FromWorker =
  | { readonly type: 'connected'; readonly id: number }
  | { readonly type: 'data'; readonly id: number; readonly bytes: Uint8Array }
  /** So many bytes more have left the thread's memory. */
  | { readonly type: 'taken'; readonly id: number; readonly bytes: number }
  | { readonly type: 'closed'; readonly id: number; readonly error: Error | undefined }
