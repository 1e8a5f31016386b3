/**
 * The shape of everything that decides: a pure machine. It is told what happened and when, and answers with what
 * is to be done, in order; a thin shell beside it does that and tells it the outcome as the next event.
 */
export interface Machine<Event, Effect> {
  /** Synchronous and total over valid events. The effects run in the order returned. */
  step(event: Event & { readonly nowMs: number }): readonly Effect[]
  /** Throws when an invariant does not hold. Tests call it after every step. */
  validate(): void
  /** Plain data for logs, pictures and tests. */
  inspect(): unknown
}
