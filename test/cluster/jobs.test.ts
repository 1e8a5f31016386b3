import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  connectCluster,
  JobCancelledError,
  JobInputError,
  JobNotFoundError,
  joinCluster,
  MAX_VALUE_BYTES,
  TaskModuleError,
  TasksFailedError,
  type Cluster,
  type ClusterNode,
} from '@conclave/cluster'
import { UsageError } from '@conclave/core'
import { eventually, fourLetterWord, TemporaryFolder } from '@conclave/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describeEachEngine } from '../support/engines.ts'

type Tasks = typeof import('./support/tasks.js')

const tasks = new URL('./support/tasks.js', import.meta.url)

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

describeEachEngine('cluster', engine => {
  let nodes: ClusterNode[]
  let cluster: Cluster<Tasks>
  const folder = new TemporaryFolder()

  const join1 = (nodeId: string): Promise<ClusterNode> =>
    joinCluster({ connect: engine.server.connectString, cluster: 'jobs', tasks, nodeId, slots: 2 })

  beforeAll(async () => {
    nodes = await Promise.all(['n1', 'n2', 'n3'].map(join1))
    cluster = await connectCluster<Tasks>({ connect: engine.server.connectString, cluster: 'jobs' })
    await eventually(() => nodes.some(({ role }) => role === 'leader'), { what: 'a leader' })
  })

  afterAll(async () => {
    await cluster.close()
    await Promise.all(nodes.map(node => node.close()))
    await folder.remove()
  })

  it('a job - gives every result once, in any order or in that of the inputs', async () => {
    const inputs = Array.from({ length: 2_000 }, (_, i) => i)
    const job = await cluster.submit('double', inputs)
    expect(job.taskCount).toBe(2_000)
    const ordered = await collect(job.results({ ordered: true }))
    expect(ordered.map(({ index }) => index)).toEqual(inputs)
    expect(ordered.map(({ value }) => value)).toEqual(inputs.map(input => input * 2))
    const again = await collect(job.results())
    expect(again.map(({ index }) => index).sort((a, b) => a - b)).toEqual(inputs)
    const leader = nodes.find(({ role }) => role === 'leader')!
    const workers = new Set(again.map(({ workerId }) => workerId))
    expect(workers).not.toContain(leader.id)
    expect(workers.size).toBe(2)
    await job.remove()
    await expect(collect(job.results())).rejects.toThrow(JobNotFoundError)
  })

  it('inputs from a stream, more than a segment holds - are all there', async () => {
    const text = 'y'.repeat(10_000)
    async function* inputs(): AsyncGenerator<number> {
      for (let i = 0; i < 200; i++) yield await Promise.resolve(i)
    }
    const small = await cluster.submit('double', inputs())
    expect((await collect(small.results())).length).toBe(200)
    const job = await cluster.submit(
      'exits',
      Array.from({ length: 150 }, (_, i) => text + i),
    )
    const results = await collect(job.results({ ordered: true }))
    expect(results.map(({ value }) => value)).toEqual(Array.from({ length: 150 }, (_, i) => text + i))
  })

  it('no inputs - a job that is finished at once', async () => {
    const job = await cluster.submit('double', [])
    expect(await collect(job.outcomes())).toEqual([])
    expect((await job.record()).state).toBe('finished')
  })

  it('the task - is told its job, place, attempt, worker and the term of the leader', async () => {
    const job = await cluster.submit('contextOf', ['a'])
    const [result] = await collect(job.results())
    const leader = (await cluster.status()).leader!
    expect(result!.value).toEqual({
      jobId: job.id,
      index: 0,
      attempt: 1,
      workerId: result!.workerId,
      fencingToken: String(leader.fencingToken),
    })
  })

  it('undefined - arrives as null, as in JSON', async () => {
    const job = await cluster.submit('tasks#nothing', [1])
    expect((await collect(job.results())).map(({ value }) => value)).toEqual([null])
  })

  it('a task that throws - is tried three times, reported with its error, and costs no other task its result', async () => {
    const job = await cluster.submit('fails', [1, 2])
    const error = await collect(job.results()).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(TasksFailedError)
    const { failures, message } = error as TasksFailedError
    expect(message).toContain('no luck with 1')
    expect(
      failures.map(({ index, attempt, error: { name, message: text } }) => [index, attempt, name, text]),
    ).toEqual(
      expect.arrayContaining([
        [0, 3, 'RangeError', 'no luck with 1'],
        [1, 3, 'RangeError', 'no luck with 2'],
      ]),
    )
    expect(await job.record()).toMatchObject({ state: 'finished', end: { succeeded: 0, failed: 2 } })
  })

  it('a task that fails once - succeeds at the next attempt', async () => {
    const job = await cluster.submit('failsOnce', [7])
    expect((await collect(job.results())).map(({ value }) => value)).toEqual([[7, 2]])
  })

  it('a task that calls process.exit - fails alone', async () => {
    const job = await cluster.submit('exits', ['a', 'exit', 'b', 'c'], { maxAttempts: 2 })
    const outcomes = await collect(job.outcomes({ ordered: true }))
    expect(outcomes.map(({ status }) => status)).toEqual(['succeeded', 'failed', 'succeeded', 'succeeded'])
    expect(outcomes[1]).toMatchObject({
      attempt: 2,
      error: { message: expect.stringContaining('process.exit(3)') },
    })
  })

  it('an error thrown outside of the task - is laid to the task that was running', async () => {
    const job = await cluster.submit('failsLater', [1], { maxAttempts: 1 })
    const [outcome] = await collect(job.outcomes())
    expect(outcome).toMatchObject({ status: 'failed', error: { message: expect.stringContaining('later') } })
  })

  it('a task that does not exist - fails and names those that do', async () => {
    const job = await (cluster as unknown as Cluster).submit('tasks#missing', [1])
    const status = await cluster.status()
    expect(status.jobs.find(({ id }) => id === job.id)).toMatchObject({
      state: 'submitted',
      task: 'tasks#missing',
    })
    expect(status.workers.flatMap(({ tasks: known }) => known)).toContain('tasks#double')
    await job.cancel()
    await expect(collect(job.results())).rejects.toThrow(JobCancelledError)
  })

  it('a large result - arrives; one that is too large fails its task with its size', async () => {
    const job = await cluster.submit('large', [MAX_VALUE_BYTES - 10, MAX_VALUE_BYTES + 1, 100], {
      maxAttempts: 1,
    })
    const outcomes = await collect(job.outcomes({ ordered: true }))
    expect(outcomes.map(({ status }) => status)).toEqual(['succeeded', 'failed', 'succeeded'])
    expect(outcomes[1]).toMatchObject({
      error: { message: expect.stringContaining(String(MAX_VALUE_BYTES + 3)) },
    })
  })

  it('an input that cannot be sent - is refused with its index, and no job is left', async () => {
    const before = (await cluster.status()).jobs.length
    const untyped = cluster as unknown as Cluster
    await expect(untyped.submit('double', [1, undefined])).rejects.toThrow(JobInputError)
    await expect(untyped.submit('double', [1, 1n])).rejects.toThrow('input 1')
    await expect(untyped.submit('double', ['z'.repeat(MAX_VALUE_BYTES)])).rejects.toThrow(
      `${MAX_VALUE_BYTES}`,
    )
    const text = 'x'.repeat(300_000)
    await expect(untyped.submit('double', [text, text, text, undefined])).rejects.toThrow('input 3')
    expect((await cluster.status()).jobs.length).toBe(before)
  })

  it('a task that throws a novel - fails with its beginning, and nothing else suffers', async () => {
    const job = await cluster.submit('throwsLong', [2_000_000], { maxAttempts: 1 })
    const [outcome] = await collect(job.outcomes())
    expect(outcome).toMatchObject({
      status: 'failed',
      error: { message: expect.stringContaining('2000000 characters') },
    })
    expect((await collect((await cluster.submit('double', [1])).results())).length).toBe(1)
  })

  it('a job of which parts are gone - is left alone, and the others go on', async () => {
    const path = join(folder.path, 'halved')
    const job = await cluster.submit('waitsForFile', [path, path])
    const root = `/conclave/jobs/jobs/${job.id}`
    await cluster.zk.deleteRecursive(`${root}/inputs`)
    const leader = nodes.find(({ role }) => role === 'leader')!
    await leader.close()
    nodes[nodes.indexOf(leader)] = await join1(leader.id)
    expect(
      (await collect((await cluster.submit('double', [3])).results())).map(({ value }) => value),
    ).toEqual([6])
    await job.remove()
    writeFileSync(path, '')
  })

  it('a removal that was cut short - is finished by the leader', async () => {
    const job = await cluster.submit('double', [1, 2])
    await collect(job.results())
    const path = `/conclave/jobs/jobs/${job.id}`
    const { data } = await cluster.zk.getData(path)
    await cluster.zk.setData(
      path,
      JSON.stringify({ ...(JSON.parse(String(data)) as object), state: 'removing' }),
    )
    await eventually(async () => (await cluster.zk.exists(path)) === null, { what: 'the removal' })
  })

  it('many removals at once, by submitters and by retention - depose nobody', async () => {
    const before = (await cluster.status()).leader!.fencingToken
    const jobs = await Promise.all(
      Array.from({ length: 20 }, () => cluster.submit('double', [1], { retentionMs: 0 })),
    )
    await Promise.all(jobs.map(job => job.remove()))
    await eventually(async () =>
      (await cluster.status()).jobs.every(({ id }) => jobs.every(job => job.id !== id)),
    )
    expect((await cluster.status()).leader!.fencingToken).toBe(before)
  })

  it('status - leaves no watch behind', async () => {
    const watches = async (): Promise<number> => {
      const text = await fourLetterWord(engine.server.endpoint, 'wchs')
      return Number(/Total watches:(\d+)/.exec(text)![1])
    }
    const before = await watches()
    for (let i = 0; i < 20; i++) await cluster.status()
    expect(await watches()).toBeLessThan(before + 10)
  })

  it('a cancelled job - ends with what it has', async () => {
    const path = join(folder.path, 'cancelled')
    const job = await cluster.submit('waitsForFile', [path, path, path, path, path, path])
    await job.cancel()
    const outcomes = await collect(job.outcomes())
    expect(outcomes.map(({ status }) => status)).toEqual(Array.from({ length: 6 }, () => 'cancelled'))
    expect((await job.record()).state).toBe('cancelled')
    writeFileSync(path, '')
    const next = await cluster.submit('double', [4])
    expect((await collect(next.results())).map(({ value }) => value)).toEqual([8])
  })

  it('a removed job - ends its readers', async () => {
    const path = join(folder.path, 'removed')
    const job = await cluster.submit('waitsForFile', [path])
    const reading = expect(collect(job.results())).rejects.toThrow(JobNotFoundError)
    await job.remove()
    await reading
    writeFileSync(path, '')
  })

  it('retention - ends with the removal of the job', async () => {
    const job = await cluster.submit('double', [1], { retentionMs: 0 })
    await eventually(async () => (await cluster.status()).jobs.every(({ id }) => id !== job.id), {
      what: 'the removal of the job',
    })
  })

  it('a full budget - makes submitters wait until a job is removed', async () => {
    const first = await cluster.submit('double', [1, 2, 3])
    await collect(first.results())
    const waiting = cluster.submit('double', [5], { budgetBytes: 1, signal: AbortSignal.timeout(60_000) })
    for (const { id } of (await cluster.status()).jobs) await (await cluster.job(id)).remove()
    const job = await waiting
    expect((await collect(job.results())).map(({ value }) => value)).toEqual([10])
  })

  it('a busy task - does not cost its node the session', async () => {
    const job = await cluster.submit('burns', [1_500, 1_500, 1_500, 1_500])
    expect((await collect(job.results())).length).toBe(4)
  })

  it('an aborted reader - stops waiting', async () => {
    const path = join(folder.path, 'aborted')
    const job = await cluster.submit('waitsForFile', [path])
    const abort = new AbortController()
    const reading = collect(job.results({ signal: abort.signal }))
    abort.abort(new Error('enough'))
    await expect(reading).rejects.toThrow('enough')
    await job.remove()
    writeFileSync(path, '')
  })

  it('a leader that leaves - hands its work to another node, and the results are complete', async () => {
    const leader = nodes.find(({ role }) => role === 'leader')!
    const job = await cluster.submit(
      'burns',
      Array.from({ length: 40 }, () => 20),
    )
    await leader.close()
    expect((await collect(job.results())).length).toBe(40)
    const next = await eventually(() => nodes.find(node => node !== leader && node.role === 'leader'))
    expect(next.id).not.toBe(leader.id)
    nodes[nodes.indexOf(leader)] = await join1(leader.id)
  })

  it('a leader without workers - runs the tasks itself', async () => {
    const alone = await joinCluster({
      connect: engine.server.connectString,
      cluster: 'alone',
      tasks,
      slots: 1,
    })
    const other = await connectCluster<Tasks>({ connect: engine.server.connectString, cluster: 'alone' })
    try {
      const job = await other.submit('double', [1, 2])
      const results = await collect(job.results({ ordered: true }))
      expect(results.map(({ value, workerId }) => [value, workerId])).toEqual([
        [2, alone.id],
        [4, alone.id],
      ])
    } finally {
      await other.close()
      await alone.close()
    }
  })

  it('a chroot that does not exist - is made', async () => {
    const connect = `${engine.server.connectString}/some/where`
    const node = await joinCluster({ connect, tasks, slots: 1 })
    const other = await connectCluster<Tasks>({ connect })
    try {
      const job = await other.submit('double', [21])
      expect((await collect(job.results())).map(({ value }) => value)).toEqual([42])
    } finally {
      await other.close()
      await node.close()
    }
  })

  it('status - shows leader, workers and jobs', async () => {
    const status = await eventually(async () => {
      const now = await cluster.status()
      return now.workers.length === 2 && now.leader !== null ? now : undefined
    })
    expect(status.cluster).toBe('jobs')
    expect([status.leader!.nodeId, ...status.workers.map(({ nodeId }) => nodeId)].sort()).toEqual([
      'n1',
      'n2',
      'n3',
    ])
    expect(status.workers[0]).toMatchObject({ address: '127.0.0.1', slots: 2 })
  })

  describe('wrong input', () => {
    it('a module that does not exist - is named, and the node does not join', async () => {
      const missing = new URL('./support/none.js', import.meta.url)
      const joining = joinCluster({ connect: engine.server.connectString, cluster: 'jobs', tasks: missing })
      await expect(joining).rejects.toThrow(TaskModuleError)
      expect((await cluster.status()).workers.length).toBe(2)
    })

    it('an id that a living node has - is refused, whether that leads or works', async () => {
      for (const { id } of nodes) {
        const joining = joinCluster({
          connect: engine.server.connectString,
          cluster: 'jobs',
          tasks,
          nodeId: id,
        })
        await expect(joining).rejects.toThrow(`a node '${id}' is in this cluster already`)
      }
    })

    it('a port that is taken - is named with what to do', async () => {
      const { port } = nodes[0]!.endpoint
      const joining = joinCluster({ connect: engine.server.connectString, cluster: 'jobs', port })
      await expect(joining).rejects.toThrow(`cannot listen on 127.0.0.1:${port}: the port is in use`)
    })

    it.each([
      { slots: 0 },
      { port: 70_000 },
      { nodeId: 'a/b' },
      { cluster: 'a/b' },
      { cluster: '' },
      { host: '0.0.0.0' },
      { unknown: 1 },
    ])('%j - is refused before anything is begun', async wrong => {
      await expect(joinCluster({ connect: engine.server.connectString, ...wrong })).rejects.toThrow(
        UsageError,
      )
    })

    it.each([{ maxAttempts: 0 }, { retentionMs: -1 }, { retentionMs: Infinity }, { unknown: 1 }])(
      'submit %j - is refused',
      async wrong => {
        await expect(cluster.submit('double', [1], wrong)).rejects.toThrow(UsageError)
      },
    )
  })
})
