import fc from 'fast-check'
import type { Connection } from '@conclave/core'
import { describe, expect, test } from 'vitest'
import { Outbox, OutboxMemory } from '../../src/net/outbox.ts'

/** Keeps what it is given by reference until it is told to send, as a socket does whose peer does not read. */
class KeepingConnection implements Connection {
  readonly remote = { host: '127.0.0.1', port: 1 }
  /** What arrived at the other side. */
  readonly sent: number[] = []
  readonly #kept: Uint8Array[] = []
  isStuck = false

  get heldBytes(): number {
    return this.#kept.reduce((sum, bytes) => sum + bytes.length, 0)
  }

  write(bytes: Uint8Array): boolean {
    this.#kept.push(bytes)
    if (!this.isStuck) this.sendKept()
    return this.#kept.length === 0
  }

  sendKept(): void {
    for (const bytes of this.#kept.splice(0)) this.sent.push(...bytes)
  }

  start(): void {}
  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}
}

type Step =
  { write: number; connection: number } | { durable: number } | { stuck: boolean; connection: number }

const steps = fc.array(
  fc.oneof<fc.Arbitrary<Step>[]>(
    fc.record({ write: fc.integer({ min: 1, max: 3000 }), connection: fc.nat(2) }),
    fc.record({ durable: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ stuck: fc.boolean(), connection: fc.nat(2) }),
  ),
  { maxLength: 60 },
)

describe('outbox', () => {
  test('memory used again - each connection gets its own bytes, in order, none before it is durable', () => {
    fc.assert(
      fc.property(steps, script => {
        const memory = new OutboxMemory()
        const ends = Array.from({ length: 3 }, () => ({
          outbox: new Outbox(memory),
          connection: new KeepingConnection(),
          written: [] as { byte: number; needs: number }[],
        }))
        let appended = 0
        let durable = 0
        let byte = 0
        const sendAll = (): void => ends.forEach(({ outbox, connection }) => outbox.send(connection, durable))
        for (const step of script) {
          if ('write' in step) {
            const { outbox, written } = ends[step.connection]!
            byte = (byte + 1) % 256
            outbox.writer.raw(new Uint8Array(step.write).fill(byte))
            outbox.seal(++appended)
            for (let i = 0; i < step.write; i++) written.push({ byte, needs: appended })
          } else if ('durable' in step) {
            durable = Math.min(appended, durable + step.durable)
          } else {
            const { connection } = ends[step.connection]!
            connection.isStuck = step.stuck
            if (!step.stuck) connection.sendKept()
          }
          sendAll()
        }
        for (const { connection, outbox, written } of ends) {
          connection.sendKept()
          const allowed = written.filter(({ needs }) => needs <= durable).map(each => each.byte)
          expect(connection.sent).toEqual(allowed)
          expect(outbox.length).toBe(written.length - allowed.length)
        }
      }),
    )
  })

  test('nothing to say - costs no memory, and what was used once is used again', () => {
    const memory = new OutboxMemory()
    const connection = new KeepingConnection()
    const [first, second] = [new Outbox(memory), new Outbox(memory)]
    first.writer.raw(new Uint8Array(10_000))
    const { buffer } = first.writer
    first.seal(0)
    expect(first.send(connection, 0)).toBe(true)
    expect(first.isEmpty).toBe(true)
    expect(second.writer.buffer).toBe(buffer)
  })

  test('a connection that takes no more - keeps the memory, and says so', () => {
    const memory = new OutboxMemory()
    const connection = new KeepingConnection()
    connection.isStuck = true
    const outbox = new Outbox(memory)
    outbox.writer.raw(Uint8Array.of(1, 2, 3))
    const { buffer } = outbox.writer
    outbox.seal(0)
    expect(outbox.send(connection, 0)).toBe(false)
    outbox.writer.raw(Uint8Array.of(9, 9, 9))
    expect(outbox.writer.buffer).not.toBe(buffer)
    connection.sendKept()
    expect(connection.sent).toEqual([1, 2, 3])
  })
})
