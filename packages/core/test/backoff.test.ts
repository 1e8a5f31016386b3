import { describe, expect, test } from 'vitest'
import { Backoff, type Random } from '@conclave/core'

const always = (value: number): Random => ({ bytes: length => new Uint8Array(length), float: () => value })

describe('backoff', () => {
  test('bounds - they double up to the maximum', () => {
    const backoff = new Backoff(always(1), { baseMs: 10, maxMs: 100 })
    expect([1, 2, 3, 4, 5, 6].map(() => backoff.nextDelayMs())).toEqual([10, 20, 40, 80, 100, 100])
    expect(backoff.attempts).toBe(6)
  })

  test('jitter - it is full: a delay can be anything below the bound', () => {
    expect(new Backoff(always(0), { baseMs: 10 }).nextDelayMs()).toBe(0)
    expect(new Backoff(always(0.5), { baseMs: 10 }).nextDelayMs()).toBe(5)
  })

  test('reset - it begins anew', () => {
    const backoff = new Backoff(always(1), { baseMs: 10, maxMs: 100 })
    backoff.nextDelayMs()
    backoff.nextDelayMs()
    backoff.reset()
    expect(backoff.nextDelayMs()).toBe(10)
  })

  test('many attempts - the bound stays finite', () => {
    const backoff = new Backoff(always(1), { baseMs: 1, maxMs: 5_000 })
    for (let i = 0; i < 2_000; i++) backoff.nextDelayMs()
    expect(backoff.nextDelayMs()).toBe(5_000)
  })
})
