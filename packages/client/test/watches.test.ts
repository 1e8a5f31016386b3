import { describe, expect, test } from 'vitest'
import type { WatchedEvent } from '@conclave/client'
import { settle } from '@conclave/testing'
import { Simulation } from './support/simulation.ts'

describe('watches', () => {
  test('one-shot - an event comes after the reply that set it and before the reply that shows it', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    simulation.ensemble.set('/a', '0')
    const log: string[] = []
    const note = async (name: string, promise: Promise<unknown>): Promise<void> => {
      // Some more turns of the microtask queue, as callers that wrap the call have.
      await promise
      await Promise.resolve()
      await Promise.resolve()
      log.push(name)
    }
    await Promise.all([
      note('set', zk.getData('/a', { watch: event => log.push(event.type) })),
      note('write', zk.setData('/a', '1')),
      note('read', zk.getData('/a')),
    ])
    expect(log).toEqual(['set', 'nodeDataChanged', 'write', 'read'])
    await zk.close()
  })

  test('exists - a watch on what is not there tells of its creation', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    const events: WatchedEvent[] = []
    expect(await zk.exists('/a', { watch: event => events.push(event) })).toBeNull()
    simulation.ensemble.set('/a', '0')
    await settle()
    expect(events).toEqual([{ type: 'nodeCreated', path: '/a', zxid: undefined }])
    await zk.close()
  })

  test('reconnect - watches are set again, and what happened meanwhile is told', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    const events: string[] = []
    simulation.ensemble.set('/changed', '0')
    simulation.ensemble.set('/deleted', '0')
    simulation.ensemble.set('/same', '0')
    for (const path of ['/changed', '/deleted', '/same', '/created']) {
      await zk.exists(path, { watch: event => events.push(`${event.type} ${event.path}`) })
    }
    simulation.network.last.cut()
    simulation.ensemble.set('/changed', '1')
    simulation.ensemble.delete('/deleted')
    simulation.ensemble.set('/created', '0')
    await simulation.clock.advance(50)
    expect(events.sort()).toEqual([
      'nodeCreated /created',
      'nodeDataChanged /changed',
      'nodeDeleted /deleted',
    ])
    simulation.ensemble.set('/same', '1')
    await settle()
    expect(events).toContain('nodeDataChanged /same')
    await zk.close()
  })

  test('lost session - every watch is told that it is gone', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    const events: string[] = []
    simulation.ensemble.set('/a', '0')
    await zk.getData('/a', { watch: event => events.push(`${event.type} ${event.path}`) })
    simulation.ensemble.expire(zk.session.sessionId)
    await simulation.clock.advance(100)
    expect(events).toEqual(['sessionLost /a'])
    await zk.close()
  })

  test('a watcher that throws - it stops neither the others nor the client', async () => {
    const simulation = new Simulation()
    const zk = await simulation.connect()
    const thrown: unknown[] = []
    const listeners = process.rawListeners('uncaughtException') as ((error: Error) => void)[]
    process.removeAllListeners('uncaughtException')
    process.once('uncaughtException', error => thrown.push(error.message))
    simulation.ensemble.set('/a', '0')
    const events: string[] = []
    await zk.getData('/a', {
      watch: () => {
        throw new Error('mine')
      },
    })
    await zk.exists('/a', { watch: event => events.push(event.type) })
    simulation.ensemble.set('/a', '1')
    await settle()
    for (const listener of listeners) process.on('uncaughtException', listener)
    expect([events, thrown]).toEqual([['nodeDataChanged'], ['mine']])
    await zk.close()
  })
})
