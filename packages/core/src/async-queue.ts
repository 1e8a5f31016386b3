import { assert } from './assert.ts'

/**
 * The bridge from callbacks to `for await`: values pushed on one side, iterated on the other, by one consumer.
 * It has a bound; what happens there is the pusher's to decide, because `push` says when it is full.
 */
export class AsyncQueue<T> implements AsyncIterableIterator<T> {
  readonly #maxItems: number
  readonly #onReturn: (() => void) | undefined
  #items: T[] = []
  #waiting: { resolve: (result: IteratorResult<T>) => void; reject: (error: unknown) => void } | undefined
  #ended = false
  #error: unknown

  /** `onReturn` is called once when the consumer leaves its loop early. */
  constructor(options: { readonly maxItems: number; readonly onReturn?: () => void }) {
    this.#maxItems = options.maxItems
    this.#onReturn = options.onReturn
  }

  /** How many values wait for the consumer. */
  get size(): number {
    return this.#items.length
  }

  /** Adds a value; `false`, and nothing is added, when `maxItems` wait already or the queue has ended. */
  push(value: T): boolean {
    if (this.#ended) return false
    if (this.#waiting !== undefined) {
      const { resolve } = this.#waiting
      this.#waiting = undefined
      resolve({ done: false, value })
      return true
    }
    if (this.#items.length >= this.#maxItems) return false
    this.#items.push(value)
    return true
  }

  /** No more values will come; those that wait are still delivered. */
  end(): void {
    this.#finish(undefined)
  }

  /** As `end`, but after the last value the consumer's loop throws `error`. */
  fail(error: unknown): void {
    this.#finish(error)
  }

  #finish(error: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.#error = error
    const waiting = this.#waiting
    if (waiting === undefined) return
    this.#waiting = undefined
    this.#error = undefined
    if (error === undefined) waiting.resolve({ done: true, value: undefined })
    else waiting.reject(error)
  }

  next(): Promise<IteratorResult<T>> {
    assert(this.#waiting === undefined, 'an AsyncQueue has one consumer, which awaits each value')
    if (this.#items.length > 0) return Promise.resolve({ done: false, value: this.#items.shift()! })
    if (!this.#ended) return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }))
    const error = this.#error
    this.#error = undefined
    return error === undefined
      ? Promise.resolve({ done: true, value: undefined })
      : Promise.reject(error as Error)
  }

  return(): Promise<IteratorResult<T>> {
    this.#items = []
    if (!this.#ended) this.#onReturn?.()
    this.end()
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
