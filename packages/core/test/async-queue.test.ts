import { describe, expect, test } from 'vitest'
import { AsyncQueue, InvariantError } from '@conclave/core'

async function collect<T>(queue: AsyncQueue<T>): Promise<T[]> {
  const values: T[] = []
  for await (const value of queue) values.push(value)
  return values
}

describe('async queue', () => {
  test('order - values come out as they went in, whether the consumer or the pusher is first', async () => {
    const queue = new AsyncQueue<number>({ maxItems: 10 })
    queue.push(1)
    const all = collect(queue)
    await Promise.resolve()
    queue.push(2)
    queue.push(3)
    queue.end()
    expect(await all).toEqual([1, 2, 3])
  })

  test('bound - a full queue says so and keeps what it has', async () => {
    const queue = new AsyncQueue<number>({ maxItems: 2 })
    expect([1, 2, 3].map(value => queue.push(value))).toEqual([true, true, false])
    expect(queue.size).toBe(2)
    queue.end()
    expect(queue.push(4)).toBe(false)
    expect(await collect(queue)).toEqual([1, 2])
  })

  test('failure - it comes after the values that wait, and once', async () => {
    const queue = new AsyncQueue<number>({ maxItems: 2 })
    queue.push(1)
    queue.fail(new Error('broken'))
    queue.fail(new Error('again'))
    expect(await queue.next()).toEqual({ done: false, value: 1 })
    await expect(queue.next()).rejects.toThrow('broken')
    expect(await queue.next()).toEqual({ done: true, value: undefined })
  })

  test('failure - a consumer that waits is told at once', async () => {
    const queue = new AsyncQueue<number>({ maxItems: 2 })
    const next = queue.next()
    queue.fail(new Error('broken'))
    await expect(next).rejects.toThrow('broken')
    expect(await queue.next()).toEqual({ done: true, value: undefined })
  })

  test('leaving - a consumer that breaks out is told to the owner once, and nothing is kept', async () => {
    let left = 0
    const queue = new AsyncQueue<number>({ maxItems: 5, onReturn: () => left++ })
    for (const value of [1, 2, 3]) queue.push(value)
    for await (const value of queue) if (value === 1) break
    await queue.return()
    expect([left, queue.size, queue.push(4)]).toEqual([1, 0, false])
  })

  test('consumers - there is one', () => {
    const queue = new AsyncQueue<number>({ maxItems: 1 })
    void queue.next()
    expect(() => queue.next()).toThrow(InvariantError)
  })
})
