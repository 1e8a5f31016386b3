/**
 * Callbacks by event name, typed. Listeners run in the order in which they were added; one that throws stops
 * neither the others nor the emitter: its error surfaces as an uncaught exception, as a bug in it should.
 */
export class TypedEmitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(event: never) => void>>()

  /** Adds a listener; the function returned takes it away again. */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, listeners)
    listeners.add(listener)
    return () => listeners.delete(listener)
  }

  /** Resolves with the next event of that name; rejects with the signal's reason. */
  once<Name extends keyof Events>(name: Name, signal?: AbortSignal): Promise<Events[Name]> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error)
      const onAbort = (): void => {
        off()
        reject(signal?.reason as Error)
      }
      const off = this.on(name, event => {
        off()
        signal?.removeEventListener('abort', onAbort)
        resolve(event)
      })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Calls the listeners of that name now, before it returns. */
  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    const listeners = this.#listeners.get(name)
    if (listeners === undefined) return
    for (const listener of [...listeners]) {
      try {
        ;(listener as (event: Events[Name]) => void)(event)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
