import { ZooKeeper } from '@conclave/client'
import { eventually, FaultProxy } from '@conclave/testing'
import { expect, test } from 'vitest'
import { describeEachEngine } from '../support/engines.ts'

/** More than the buffers of the system hold, so that some of it waits in the process. */
const REQUESTS = 400
const BYTES = 60_000

/** Different bytes for each: what was overwritten on its way would be seen. */
function dataOf(at: number): Buffer {
  return Buffer.alloc(BYTES, `${at} of many, `)
}

describeEachEngine('back-pressure', fixture => {
  test('a server that does not read for a while - then gets every request as it was made', async () => {
    await using proxy = await FaultProxy.start(fixture.server.endpoint)
    const zk = await ZooKeeper.connect(fixture.connectString.replace(/^[^/]+/, proxy.connectString))
    await zk.create('/many')
    proxy.hold('toServer')
    const created: Promise<unknown>[] = []
    for (let at = 0; at < REQUESTS; at++) {
      created.push(zk.create(`/many/${at}`, dataOf(at)))
      // Several turns, and in each some requests.
      if (at % 7 === 0) await new Promise(setImmediate)
    }
    await eventually(() => zk.metrics.pending === REQUESTS, { what: 'all requests under way' })
    proxy.heal()
    await Promise.all(created)
    const read = await Promise.all(created.map((_, at) => zk.getData(`/many/${at}`)))
    read.forEach(({ data }, at) => expect(data!.equals(dataOf(at)), `the data of ${at}`).toBe(true))
    await zk.close()
  })

  test('a client that does not read for a while - then gets every answer as it was given', async () => {
    await using proxy = await FaultProxy.start(fixture.server.endpoint)
    const witness = await fixture.connect()
    await witness.create('/read')
    for (let at = 0; at < 40; at++) await witness.create(`/read/${at}`, dataOf(at))
    const zk = await ZooKeeper.connect(fixture.connectString.replace(/^[^/]+/, proxy.connectString))
    proxy.hold('toClient')
    const answers: ReturnType<ZooKeeper['getData']>[] = []
    for (let at = 0; at < REQUESTS; at++) {
      answers.push(zk.getData(`/read/${at % 40}`))
      // Others are served meanwhile, with what a server that mixes up its memory would send to the first.
      if (at % 20 === 0) {
        const others = await Promise.all(Array.from({ length: 40 }, (_, i) => witness.getData(`/read/${i}`)))
        others.forEach(({ data }, i) => expect(data!.equals(dataOf(i))).toBe(true))
      }
    }
    proxy.heal()
    for (const [at, { data }] of (await Promise.all(answers)).entries()) {
      expect(data!.equals(dataOf(at % 40)), `the data of ${at}`).toBe(true)
    }
    await zk.close()
  })
})
