import { OpCode } from '@conclave/protocol'
import { expect, test } from 'vitest'
import { UnimplementedError } from '@conclave/client'
import { Simulation } from './support/simulation.ts'

// Apache's servers refuse an operation that they do not know at once, ahead of the answers that are due before, and end
// the connection.

test('unknown operation - it is refused once, and what was asked before goes on with the next connection', async () => {
  const simulation = new Simulation()
  const { ensemble } = simulation
  const zk = await simulation.connect()
  ensemble.unknown.add(OpCode.whoAmI)
  ensemble.mute = true
  const before = zk.sync()
  const refused = zk.whoAmI()
  const after = zk.exists('/a')
  await expect(refused).rejects.toBeInstanceOf(UnimplementedError)
  ensemble.mute = false
  await simulation.clock.advance(100)
  await before
  expect(await after).toBeNull()
  expect(ensemble.received.filter(opCode => opCode === OpCode.whoAmI)).toHaveLength(1)
  await zk.close()
})

test('watches that stay - they end with a server that does not know them, and the session goes on', async () => {
  const simulation = new Simulation()
  const { ensemble } = simulation
  const zk = await simulation.connect()
  const waiting = await zk.watch('/a')
  const idle = await zk.watch('/b')
  const next = waiting.next()
  next.catch(() => {})
  ensemble.unknown.add(OpCode.setWatches2)
  simulation.network.last.cut()
  await simulation.clock.advance(200)
  await expect(next).rejects.toMatchObject({ code: 'UNIMPLEMENTED', path: '/a' })
  await expect(idle.next()).rejects.toBeInstanceOf(UnimplementedError)
  expect(await idle.next()).toEqual({ done: true, value: undefined })
  expect(await zk.exists('/a')).toBeNull()
  expect(ensemble.received.filter(opCode => opCode === OpCode.setWatches2)).toHaveLength(1)
  await zk.close()
})
