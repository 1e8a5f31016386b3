/** A promise and the two functions that settle it. */
export interface Deferred<T> {
  readonly promise: Promise<T>
  /** Both may be passed on as they are. */
  readonly resolve: (this: void, value: T) => void
  readonly reject: (this: void, error: unknown) => void
}

/** Takes a promise apart, for whoever settles it later than they make it. */
export function deferred<T = void>(): Deferred<T> {
  let resolve!: (value: T) => void
  let reject!: (error: unknown) => void
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
