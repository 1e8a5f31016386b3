import { RawSession, type CallResult, type RawSessionOptions } from '@conclave/testing'
import type { SoakedServer } from './soaked-server.ts'

/** Where all traffic takes place. */
export const ROOT = '/soak'

/** What each visitor has at hand. */
export interface Scene {
  readonly server: SoakedServer
  /** Of the visit, in this run: what is named after it is new. */
  readonly turn: number
}

/**
 * What a visitor does between coming and going. Once its sessions have ended, and what it left to the server has been cleaned
 * away, there is as much as before.
 */
export type Habit = (scene: Scene) => Promise<void>

/** Of sessions that are left to expire: as short as it may be. */
export const SHORT_MS = 400

/** The server did what it should not. */
export class WrongAnswerError extends Error {}

export function connect({ server }: Scene, options: RawSessionOptions = {}): Promise<RawSession> {
  return RawSession.connect(server.endpoint, { timeoutMs: 4_000, ...options })
}

/** What a call that must succeed resolves with. */
export async function ok<Response>(calling: Promise<CallResult<Response>>): Promise<Response> {
  const { errorCode, response } = await calling
  if (errorCode !== 0) throw new WrongAnswerError(`error ${errorCode} where none was expected`)
  return response as Response
}

/** Waits for a call that must fail with this error. */
export async function fails(errorCode: number, calling: Promise<CallResult<unknown>>): Promise<void> {
  const result = await calling
  if (result.errorCode !== errorCode)
    throw new WrongAnswerError(`error ${result.errorCode} in place of ${errorCode}`)
}
