import { describe, expect, test } from 'vitest'
import { ClosedError, deferred, Lifecycle } from '@conclave/core'

describe('lifecycle', () => {
  test('start - it happens once', () => {
    const lifecycle = new Lifecycle('thing')
    expect(lifecycle.state).toBe('latent')
    lifecycle.start()
    expect(lifecycle.state).toBe('started')
    expect(() => lifecycle.start()).toThrow(ClosedError)
  })

  test('close - the teardown runs once and every caller awaits it', async () => {
    const lifecycle = new Lifecycle('thing')
    const teardown = deferred()
    let runs = 0
    const close = (): Promise<void> =>
      lifecycle.close(() => {
        runs++
        return teardown.promise
      })
    const both = Promise.all([close(), close()])
    expect(lifecycle.state).toBe('closing')
    expect(() => lifecycle.assertOpen()).toThrow('thing is closed')
    teardown.resolve()
    await both
    expect([runs, lifecycle.state]).toEqual([1, 'closed'])
  })

  test('close - a teardown that fails tells every caller, and the state is closed', async () => {
    const lifecycle = new Lifecycle('thing')
    const fail = (): Promise<void> => Promise.reject(new Error('stuck'))
    await expect(lifecycle.close(fail)).rejects.toThrow('stuck')
    await expect(lifecycle.close(fail)).rejects.toThrow('stuck')
    expect(lifecycle.state).toBe('closed')
  })

  test('start - not after a close that came first', async () => {
    const lifecycle = new Lifecycle('thing')
    await lifecycle.close(() => Promise.resolve())
    expect(() => lifecycle.start()).toThrow(ClosedError)
  })
})
