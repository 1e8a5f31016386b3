import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  assert,
  ClosedError,
  codeOf,
  ConclaveError,
  formatEndpoint,
  InvariantError,
  messageOf,
  nodePlatform,
  shuffle,
  sleep,
  TimeoutError,
  UsageError,
  uuid,
  withFields,
  type Clock,
  type LogFields,
} from '@conclave/core'

describe('errors', () => {
  test.each([
    [new UsageError('x'), 'USAGE', false],
    [new ClosedError('x'), 'CLOSED', false],
    [new TimeoutError('x', 5, 'unknown'), 'TIMEOUT', true],
    [new InvariantError('x'), 'INVARIANT_BROKEN', false],
  ])('kinds - %s has its code, and its name is its class', (error, code, retryable) => {
    expect(error).toBeInstanceOf(ConclaveError)
    expect([error.code, codeOf(error), error.retryable]).toEqual([code, code, retryable])
    expect(error.name).toBe(error.constructor.name)
  })

  test('cause - it is kept where there is one', () => {
    const cause = new Error('why')
    expect(new UsageError('x', cause).cause).toBe(cause)
    expect('cause' in new ClosedError('x')).toBe(false)
  })

  test('any value - it has a sentence, and a code only where it says so', () => {
    expect([messageOf(new Error('a')), messageOf('b'), messageOf(undefined)]).toEqual(['a', 'b', 'undefined'])
    expect([codeOf(Object.assign(new Error(), { code: 'EX' })), codeOf({ code: 1 }), codeOf(null)]).toEqual([
      'EX',
      undefined,
      undefined,
    ])
  })

  test('assert - only what is false is an error', () => {
    assert(1, 'never')
    expect(() => assert(0, 'zero is not true')).toThrow(InvariantError)
  })
})

describe('endpoint', () => {
  test('format - an IPv6 address gets brackets', () => {
    expect(formatEndpoint({ host: 'zk1', port: 2181 })).toBe('zk1:2181')
    expect(formatEndpoint({ host: '::1', port: 2181 })).toBe('[::1]:2181')
  })
})

describe('random', () => {
  test('uuid - it is of version 4', () => {
    expect(uuid(nodePlatform.random)).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    )
    expect(uuid({ bytes: length => new Uint8Array(length).fill(0xff), float: () => 0 })).toBe(
      'ffffffff-ffff-4fff-bfff-ffffffffffff',
    )
  })

  test('shuffle - it loses and invents nothing', () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), items => {
        const shuffled = shuffle(nodePlatform.random, [...items])
        expect([...shuffled].sort((a, b) => a - b)).toEqual([...items].sort((a, b) => a - b))
      }),
    )
  })
})

describe('sleep', () => {
  /** A clock whose timers wait until they are fired by hand. */
  function handClock(): {
    clock: Clock
    timers: { delayMs: number; fire: () => void; cancelled: boolean }[]
  } {
    const timers: { delayMs: number; fire: () => void; cancelled: boolean }[] = []
    const clock: Clock = {
      nowMs: () => 0,
      wallMs: () => 0,
      setTimer(delayMs, fire) {
        const timer = { delayMs, fire, cancelled: false }
        timers.push(timer)
        return { cancel: () => void (timer.cancelled = true) }
      },
    }
    return { clock, timers }
  }

  test('end - it resolves with its timer', async () => {
    const { clock, timers } = handClock()
    const slept = sleep(clock, 30)
    expect(timers[0]!.delayMs).toBe(30)
    timers[0]!.fire()
    await slept
  })

  test('abort - it rejects with the reason and leaves no timer', async () => {
    const { clock, timers } = handClock()
    const controller = new AbortController()
    const slept = sleep(clock, 30, controller.signal)
    controller.abort(new Error('enough'))
    await expect(slept).rejects.toThrow('enough')
    expect(timers[0]!.cancelled).toBe(true)
    await expect(sleep(clock, 30, controller.signal)).rejects.toThrow('enough')
    expect(timers).toHaveLength(1)
  })
})

describe('logger', () => {
  test('fields - those of the line win over those of the logger', () => {
    const lines: (LogFields | undefined)[] = []
    const logger = withFields({ log: (_level, _message, fields) => lines.push(fields) }, { node: 1, job: 1 })
    logger.log('info', 'x', { job: 2 })
    expect(lines).toEqual([{ node: 1, job: 2 }])
  })
})
