import { nodeDisk, nodePlatform, type Disk } from '@conclave/core'
import { closeSession, create, exists, getData, OpCode, OPEN_ACL, ping, setData } from '@conclave/protocol'
import { EmbeddedServer } from '@conclave/server'
import { eventually, fourLetterWord, RawSession, temporaryFolder, VirtualClock } from '@conclave/testing'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { startServer } from '../support/embedded.ts'

/** The real disk, whose syncs of logs can be held back or made to fail. */
class GatedDisk {
  isHeld = false
  failure: Error | undefined
  #held: (() => void)[] = []
  readonly disk: Disk = {
    ...nodeDisk,
    open: async (path, mode) => {
      const file = await nodeDisk.open(path, mode)
      if (!path.endsWith('/tmp.log') && !path.includes('probe')) return file
      return {
        write: (bytes, position) => file.write(bytes, position),
        writeSync: (bytes, position) => file.writeSync(bytes, position),
        read: (into, position) => file.read(into, position),
        truncate: length => file.truncate(length),
        sizeBytes: () => file.sizeBytes(),
        close: () => file.close(),
        sync: async () => {
          if (this.failure !== undefined) throw this.failure
          if (this.isHeld) await new Promise<void>(resolve => this.#held.push(resolve))
          await file.sync()
        },
      }
    },
  }

  release(): void {
    this.isHeld = false
    for (const resolve of this.#held.splice(0)) resolve()
  }
}

test('durability - nothing that shows a write leaves before the write is on disk', async () => {
  const gated = new GatedDisk()
  await using running = await startServer({ platform: { disk: gated.disk } })
  await using writer = await RawSession.connect(running.server.endpoint)
  await using reader = await RawSession.connect(running.server.endpoint)
  await writer.call(create, { path: '/a', data: Buffer.from('old'), acl: OPEN_ACL, flags: 0 })
  await reader.call(exists, { path: '/a', watch: true })
  gated.isHeld = true
  const answered: string[] = []
  const written = writer
    .call(setData, { path: '/a', data: Buffer.from('new'), version: -1 })
    .then(() => answered.push('write'))
  await eventually(() =>
    fourLetterWord(running.server.endpoint, 'mntr').then(text => /outstanding_requests\t[^0]/.test(text)),
  )
  const read = reader.call(getData, { path: '/a', watch: false }).then(({ response }) => {
    answered.push(`read ${response?.data?.toString()}`)
  })
  // Four-letter words come by the same loop, so by now the read was taken, too.
  await fourLetterWord(running.server.endpoint, 'ruok')
  expect(answered).toEqual([])
  expect(reader.events).toEqual([])
  gated.release()
  await Promise.all([written, read])
  expect([...answered].sort()).toEqual(['read new', 'write'])
  expect(reader.events).toMatchObject([{ type: 3, path: '/a', afterReplies: 1 }])
})

test('durability - a disk that refuses writes loses nothing; reads go on, and writes when it takes them again', async () => {
  const gated = new GatedDisk()
  await using running = await startServer({ platform: { disk: gated.disk }, tickTimeMs: 200 })
  const { endpoint } = running.server
  const made = (path: string) => ({ path, data: null, acl: OPEN_ACL, flags: 0 })
  const session = await RawSession.connect(endpoint)
  await session.call(create, made('/kept'))
  gated.failure = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
  await expect(session.call(create, made('/lost'))).rejects.toThrow()

  const { sessionId, password } = session.granted
  const again = await eventually(() => RawSession.connect(endpoint, { sessionId, password }))
  expect(again.sessionId).toBe(sessionId)
  expect((await again.call(exists, { path: '/kept', watch: false })).errorCode).toBe(0)
  expect((await again.call(exists, { path: '/lost', watch: false })).errorCode).toBe(-101)
  expect((await again.call(create, made('/refused'))).errorCode).toBe(-1)
  await expect(RawSession.connect(endpoint)).rejects.toThrow()

  gated.failure = undefined
  await eventually(async () => (await again.call(create, made('/later'))).errorCode === 0)
  await again.close()
  await running.server.close()
  await using restarted = await startServer({ dataDir: running.dataDir })
  await using reader = await RawSession.connect(restarted.server.endpoint)
  const codes: number[] = []
  for (const path of ['/kept', '/lost', '/refused', '/later']) {
    codes.push((await reader.call(exists, { path, watch: false })).errorCode)
  }
  expect(codes).toEqual([0, -101, -101, 0])
})

test('durability - with no descriptor left for a new log the one that there is goes on', async () => {
  let isOut = false
  const messages: string[] = []
  const logger = { log: (_level: string, message: string) => void messages.push(message) }
  const open: Disk['open'] = async (path, mode) => {
    if (isOut && path.endsWith('/tmp.log')) throw Object.assign(new Error('EMFILE'), { code: 'EMFILE' })
    return nodeDisk.open(path, mode)
  }
  await using running = await startServer({
    snapCount: 10,
    logger,
    platform: { disk: { ...nodeDisk, open } },
  })
  await using session = await RawSession.connect(running.server.endpoint)
  let made = 0
  const write = async (): Promise<void> => {
    const path = `/n${made++}`
    expect((await session.call(create, { path, data: null, acl: OPEN_ACL, flags: 0 })).errorCode).toBe(0)
  }
  await write()
  isOut = true
  while (!messages.includes('no snapshot could be taken')) await write()
  await write()
  isOut = false
  while (!messages.includes('snapshot taken')) await write()
})

test('protocol - hostile frames end their connection and nothing else', async () => {
  await using running = await startServer()
  await using good = await RawSession.connect(running.server.endpoint)
  const hostile = [
    Buffer.from([0xff, 0xff, 0xff, 0xff]),
    Buffer.from([0x7f, 0xff, 0xff, 0xff, 0, 0]),
    Buffer.from([0, 0, 0, 2, 0, 0]),
    Buffer.from([0, 0, 0, 0]),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
  ]
  for (const bytes of hostile) {
    await new Promise<void>(resolve => {
      const socket = connect(running.server.endpoint, () => socket.write(bytes))
      socket.on('error', () => {})
      socket.once('close', () => resolve())
    })
    const session = await RawSession.connect(running.server.endpoint)
    session.sendBytes(bytes)
    await session.ended
  }
  expect((await good.call(ping, undefined)).errorCode).toBe(0)
})

test('protocol - a request cut short is a marshalling error and leaves the connection, an unknown one ends it, but not the session', async () => {
  await using running = await startServer()
  await using session = await RawSession.connect(running.server.endpoint)
  for (const opCode of [
    OpCode.create,
    OpCode.delete,
    OpCode.setData,
    OpCode.multi,
    OpCode.getData,
    OpCode.exists,
  ]) {
    const reply = await session.request(opCode, writer => writer.int32(99))
    expect(reply.errorCode, `opcode ${opCode}`).toBe(-5)
    expect(reply.body).toHaveLength(0)
  }
  expect((await session.call(ping, undefined)).errorCode).toBe(0)
  const { sessionId, password } = session.granted
  for (const opCode of [0, OpCode.check, 99, 1_000, -10]) {
    await using again = await RawSession.connect(running.server.endpoint, { sessionId, password })
    expect(again.sessionId).toBe(sessionId)
    expect((await again.request(opCode)).errorCode, `opcode ${opCode}`).toBe(-6)
    await again.ended
  }
})

test.each(['maxClientCnxns', 'maxCnxns'])('connection - there are no more than %s allows', async option => {
  await using running = await startServer({ [option]: 2 })
  await using first = await RawSession.connect(running.server.endpoint)
  await using second = await RawSession.connect(running.server.endpoint)
  await expect(RawSession.connect(running.server.endpoint)).rejects.toThrow(/ended/)
  await first.close()
  await eventually(() =>
    RawSession.connect(running.server.endpoint).then(session => session.close().then(() => true)),
  )
  expect((await second.call(ping, undefined)).errorCode).toBe(0)
})

test('back-pressure - with many transactions outstanding no more requests are read until the disk has them', async () => {
  const gate = new GatedDisk()
  await using running = await startServer({
    maxOutstanding: 10,
    platform: { ...nodePlatform, disk: gate.disk },
  })
  await using session = await RawSession.connect(running.server.endpoint)
  gate.isHeld = true
  const all: Promise<{ errorCode: number }>[] = []
  const add = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const path = `/n${all.length}`
      all.push(session.call(create, { path, data: null, acl: OPEN_ACL, flags: 0 }))
    }
  }
  const created = async (): Promise<number> => {
    const text = await fourLetterWord(running.server.endpoint, 'srvr')
    return Number(/Node count: (\d+)/.exec(text)![1]) - 5
  }
  add(20)
  await eventually(async () => (await created()) > 10)
  add(20)
  // Another connection is answered meanwhile, and sees that none of these was read.
  expect(await created()).toBeLessThanOrEqual(20)
  gate.release()
  expect((await Promise.all(all)).every(({ errorCode }) => errorCode === 0)).toBe(true)
  expect(await created()).toBe(40)
})

test('back-pressure - a session that is not listened to, because the disk is late, does not expire', async () => {
  const gate = new GatedDisk()
  const clock = new VirtualClock()
  clock.run()
  await using running = await startServer({ maxOutstanding: 10, platform: { disk: gate.disk, clock } })
  const { endpoint } = running.server
  await using busy = await RawSession.connect(endpoint, { timeoutMs: 30_000 })
  await using idle = await RawSession.connect(endpoint, { timeoutMs: 4_000 })
  await using dead = await RawSession.connect(endpoint, { timeoutMs: 4_000 })
  gate.isHeld = true
  const written = Array.from({ length: 20 }, (_, i) =>
    busy.call(create, { path: `/n${i}`, data: null, acl: OPEN_ACL, flags: 0 }),
  )
  await eventually(() =>
    fourLetterWord(endpoint, 'mntr').then(text => /outstanding_requests\t[^0]/.test(text)),
  )
  const answer = idle.call(ping, undefined)
  await fourLetterWord(endpoint, 'ruok')
  clock.stop()
  // Of one that only says nothing nobody knows whether it lives.
  await clock.advance(8_000)
  gate.release()
  expect((await answer).errorCode).toBe(0)
  expect((await Promise.all(written)).every(({ errorCode }) => errorCode === 0)).toBe(true)
  await dead.ended
  expect((await idle.call(ping, undefined)).errorCode).toBe(0)
  // From then on it must be heard of again.
  await clock.advance(8_000)
  await idle.ended
})

test('back-pressure - who asks for far more than is sent at a time gets all of it', async () => {
  await using running = await startServer()
  await using session = await RawSession.connect(running.server.endpoint)
  const data = Buffer.alloc(900_000, 'x')
  await session.call(create, { path: '/large', data, acl: OPEN_ACL, flags: 0 })
  // More than one connection may have waiting in memory.
  const answers = Array.from({ length: 150 }, () => session.call(getData, { path: '/large', watch: false }))
  const closed = session.call(closeSession, undefined)
  // Behind its end nothing is read, but that of the client.
  session.call(ping, undefined).catch(() => {})
  for (const { response } of await Promise.all(answers)) expect(response!.data!.equals(data)).toBe(true)
  expect((await closed).errorCode).toBe(0)
  const connections = (): Promise<string> => fourLetterWord(running.server.endpoint, 'cons')
  await eventually(async () => (await connections()).trim().split('\n').length === 1, { timeoutMs: 5_000 })
})

test('back-pressure - while the disk is late answers take little memory, however requests are cut', async () => {
  const gate = new GatedDisk()
  await using running = await startServer({ platform: { disk: gate.disk } })
  const { endpoint } = running.server
  await using session = await RawSession.connect(endpoint)
  const data = Buffer.alloc(900_000, 'x')
  await session.call(create, { path: '/large', data, acl: OPEN_ACL, flags: 0 })
  gate.isHeld = true
  const written = session.call(setData, { path: '/large', data, version: -1 })
  const answers: Promise<unknown>[] = []
  for (let i = 0; i < 100; i++) {
    answers.push(session.call(getData, { path: '/large', watch: false }))
    // So that each comes by itself.
    await fourLetterWord(endpoint, 'ruok')
  }
  const received = async (): Promise<number> =>
    Number(/recved=(\d+),sent=\d+,sid/.exec(await fourLetterWord(endpoint, 'cons'))![1])
  // That for the data of before, the write, and as many as there is room for.
  expect(await received()).toBeLessThan(10)
  gate.release()
  expect((await written).errorCode).toBe(0)
  expect(await Promise.all(answers)).toHaveLength(100)
})

test('back-pressure - what was read before the client went is done, though nobody can be answered', async () => {
  await using running = await startServer()
  const { endpoint } = running.server
  await using other = await RawSession.connect(endpoint)
  await other.call(create, { path: '/large', data: Buffer.alloc(900_000), acl: OPEN_ACL, flags: 0 })
  const going = await RawSession.connect(endpoint)
  const rest = [
    ...Array.from({ length: 5 }, () => going.call(getData, { path: '/large', watch: false })),
    going.call(create, { path: '/made', data: null, acl: OPEN_ACL, flags: 1 }),
    going.call(create, { path: '/kept', data: null, acl: OPEN_ACL, flags: 0 }),
    going.call(closeSession, undefined),
  ]
  rest.forEach(answer => void answer.catch(() => {}))
  going.end()
  await eventually(async () => (await other.call(exists, { path: '/kept', watch: false })).errorCode === 0)
  expect((await other.call(exists, { path: '/made', watch: false })).errorCode).toBe(-101)
})

test('four-letter words - are answered whole, in one piece or two', async () => {
  await using running = await startServer()
  const { endpoint } = running.server
  expect(await fourLetterWord(endpoint, 'ruok')).toBe('imok')
  expect(await fourLetterWord(endpoint, 'isro')).toBe('rw')
  expect(await fourLetterWord(endpoint, 'srvr\r\n')).toMatch(
    /^Zookeeper version: \d+\.\d+\.\d+.*\n[\s\S]*Mode: standalone\nNode count: 5\n$/,
  )
  expect(await fourLetterWord(endpoint, 'mntr')).toMatch(/^zk_server_state\tstandalone$/m)
  const inPieces = await new Promise<string>(resolve => {
    const socket = connect(endpoint, () => {
      socket.write('ru')
      setImmediate(() => socket.write('ok'))
    })
    let text = ''
    socket.on('data', data => (text += data.toString()))
    socket.once('close', () => resolve(text))
  })
  expect(inPieces).toBe('imok')
})

test('four-letter words - the trace mask is set by a number of eight bytes behind its word', async () => {
  await using running = await startServer()
  const { endpoint } = running.server
  expect(await fourLetterWord(endpoint, 'gtmk')).toBe('306')
  const answer = await new Promise<string>(resolve => {
    const socket = connect(endpoint, () => {
      socket.write(Buffer.from('stmk\0\0\0\0', 'latin1'))
      setImmediate(() => socket.write(Buffer.from([0, 0, 1, 2])))
    })
    let text = ''
    socket.on('data', data => (text += data.toString()))
    socket.once('close', () => resolve(text))
  })
  expect(answer).toBe('258')
  expect(await fourLetterWord(endpoint, 'gtmk')).toBe('258')
})

test('four-letter words - the digests of the tree are told as they were after each 128 transactions', async () => {
  await using running = await startServer()
  const { endpoint } = running.server
  await using session = await RawSession.connect(endpoint)
  expect(await fourLetterWord(endpoint, 'hash')).toBe('')
  for (let zxid = 2; zxid <= 260; zxid++)
    await session.call(create, { path: `/n${zxid}`, data: null, acl: OPEN_ACL, flags: 0 })
  const lines = (await fourLetterWord(endpoint, 'hash')).trim().split('\n')
  expect(lines).toEqual([expect.stringMatching(/^80: -?\d+$/), expect.stringMatching(/^100: -?\d+$/)])
})

test('four-letter words - one that counts files takes no harm from those that go meanwhile', async () => {
  let gone: readonly string[] = []
  const list = async (folder: string): Promise<readonly string[]> => [
    ...(await nodeDisk.list(folder)),
    ...gone,
  ]
  await using running = await startServer({ platform: { disk: { ...nodeDisk, list } } })
  gone = ['log.77', 'snapshot.77', 'tmp.snapshot.78']
  expect(await fourLetterWord(running.server.endpoint, 'conf')).toMatch(/^dataDirSize=\d+$/m)
  expect(await fourLetterWord(running.server.endpoint, 'dirs')).toMatch(/^logdir_size: \d+$/m)
})

test('four-letter words - one that cannot be answered costs its connection, and not the server', async () => {
  let isFailing = false
  const list = (folder: string): Promise<readonly string[]> =>
    isFailing
      ? Promise.reject(Object.assign(new Error('input/output error'), { code: 'EIO' }))
      : nodeDisk.list(folder)
  await using running = await startServer({ platform: { disk: { ...nodeDisk, list } } })
  isFailing = true
  expect(await fourLetterWord(running.server.endpoint, 'dirs')).toBe('')
  expect(await fourLetterWord(running.server.endpoint, 'ruok')).toBe('imok')
})

test('data folder - one that cannot be used is refused with a sentence, and nothing is left behind', async () => {
  const folder = temporaryFolder()
  await writeFile(`${folder.path}/file`, 'x')
  await mkdir(`${folder.path}/photos`)
  await writeFile(`${folder.path}/photos/cat.jpg`, 'x')
  const start = (dataDir: string): Promise<EmbeddedServer> => EmbeddedServer.start({ dataDir, port: 0 })
  await expect(start('')).rejects.toMatchObject({ code: 'USAGE' })
  await expect(start(`${folder.path}/file`)).rejects.toMatchObject({
    code: 'DATA_FOLDER',
    message: expect.stringMatching(/is a file/) as unknown,
  })
  await expect(start(`${folder.path}/photos`)).rejects.toMatchObject({
    code: 'DATA_FOLDER',
    message: expect.stringMatching(/not a ZooKeeper data folder \(it holds cat\.jpg\)/) as unknown,
  })
  await folder.remove()
})

test('data folder - it may be a disk of its own, with its configuration', async () => {
  const folder = temporaryFolder()
  await mkdir(`${folder.path}/lost+found`)
  for (const name of ['.keep', 'zoo.cfg', 'zoo.cfg.dynamic.100000000'])
    await writeFile(`${folder.path}/${name}`, '')
  await using running = await startServer({ dataDir: folder.path })
  expect(await fourLetterWord(running.server.endpoint, 'ruok')).toBe('imok')
  await running.server.close()
  await folder.remove()
})

test('data folder - two servers cannot have one, and the second takes nothing away from the first', async () => {
  const folder = temporaryFolder()
  const inTheMaking = `${folder.path}/version-2/tmp.snapshot.5`
  const server = await EmbeddedServer.start({ dataDir: folder.path, port: 0 })
  await writeFile(inTheMaking, 'x')
  await expect(EmbeddedServer.start({ dataDir: folder.path, port: 0 })).rejects.toMatchObject({
    code: 'DATA_FOLDER_LOCKED',
  })
  expect(existsSync(inTheMaking)).toBe(true)
  await server.close()
  // Of one that is gone, it is what a crash has left.
  const next = await EmbeddedServer.start({ dataDir: folder.path, port: 0 })
  expect(existsSync(inTheMaking)).toBe(false)
  await next.close()
  await folder.remove()
})

test('port - one that is taken is refused, and the folder is free again', async () => {
  await using running = await startServer()
  const folder = temporaryFolder()
  const { port } = running.server.endpoint
  await expect(EmbeddedServer.start({ dataDir: folder.path, port })).rejects.toMatchObject({ code: 'LISTEN' })
  const server = await EmbeddedServer.start({ dataDir: folder.path, port: 0, platform: nodePlatform })
  await server.close()
  await folder.remove()
})
