import { describe, expect, test } from 'vitest'
import { TypedEmitter } from '@conclave/core'

interface Events {
  number: number
  text: string
}

describe('typed emitter', () => {
  test('listeners - they are called in order, and only for their name', () => {
    const emitter = new TypedEmitter<Events>()
    const seen: unknown[] = []
    emitter.on('number', value => seen.push(['first', value]))
    emitter.on('number', value => seen.push(['second', value]))
    emitter.on('text', value => seen.push(value))
    emitter.emit('number', 1)
    expect(seen).toEqual([
      ['first', 1],
      ['second', 1],
    ])
  })

  test('listeners - one that takes itself away while being called disturbs nobody', () => {
    const emitter = new TypedEmitter<Events>()
    const seen: number[] = []
    const off = emitter.on('number', value => {
      seen.push(value)
      off()
    })
    emitter.on('number', value => seen.push(value * 10))
    emitter.emit('number', 1)
    emitter.emit('number', 2)
    expect(seen).toEqual([1, 10, 20])
  })

  test('once - it resolves with the next event and leaves no listener', async () => {
    const emitter = new TypedEmitter<Events>()
    const next = emitter.once('text')
    emitter.emit('text', 'a')
    emitter.emit('text', 'b')
    expect(await next).toBe('a')
  })

  test('once - an abort rejects with its reason, before or while waiting', async () => {
    const emitter = new TypedEmitter<Events>()
    const controller = new AbortController()
    const next = emitter.once('text', controller.signal)
    controller.abort(new Error('enough'))
    await expect(next).rejects.toThrow('enough')
    await expect(emitter.once('text', controller.signal)).rejects.toThrow('enough')
  })
})
