import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { ownIdentity } from '@conclave/core'
import type { ServerAddress } from '@conclave/server'
import { temporaryFolder, TestProcess } from '@conclave/testing'
import { describe, expect, test } from 'vitest'
import { duration } from '../src/output.ts'
import { readServerAddress } from '../src/server/address.ts'
import { findServer } from '../src/server/find.ts'
import { savedSettings, saveSettings } from '../src/server/settings.ts'
import { stopServer } from '../src/server/stop.ts'

const own: ServerAddress = { ...ownIdentity(), host: '127.0.0.1', port: 1 }

describe('address of a server', () => {
  test.each([
    '',
    '{',
    'null',
    '[]',
    '{}',
    '{"pid":0,"host":"a","port":1}',
    '{"pid":-1,"host":"a","port":1}',
    '{"pid":"1","host":"a","port":1}',
    '{"pid":1,"host":"a"}',
  ])('address - %j is none', async text => {
    await using folder = temporaryFolder()
    writeFileSync(join(folder.path, 'conclave-server.json'), text)
    expect(readServerAddress(folder.path)).toBeUndefined()
  })

  test('find - the process that wrote it, and no other with its id', async () => {
    await using folder = temporaryFolder()
    const write = (address: object): void =>
      writeFileSync(join(folder.path, 'conclave-server.json'), JSON.stringify(address))
    expect(await findServer(folder.path)).toBeUndefined()
    write(own)
    expect(await findServer(folder.path)).toEqual({ identity: own, address: own })
    write({ ...own, startedAt: '2020-01-01T00:00:00.000Z', incarnation: 'another boot/1' })
    expect(await findServer(folder.path)).toBeUndefined()
  })

  test('find - one that does not listen yet, by its lock', async () => {
    await using folder = temporaryFolder()
    writeFileSync(join(folder.path, 'conclave-server.lock.1'), JSON.stringify({ ...own, id: '1' }))
    expect(await findServer(folder.path)).toEqual({ identity: expect.objectContaining({ pid: own.pid }) })
  })

  test('find - a folder that is new, a disk of its own, or of Apache ZooKeeper, has none; one of something else is refused', async () => {
    await using folder = temporaryFolder()
    expect(await findServer(join(folder.path, 'new'))).toBeUndefined()
    mkdirSync(join(folder.path, 'apache'))
    writeFileSync(join(folder.path, 'apache', 'myid'), '1')
    writeFileSync(join(folder.path, 'apache', 'zoo.cfg'), '')
    mkdirSync(join(folder.path, 'apache', 'lost+found'))
    expect(await findServer(join(folder.path, 'apache'))).toBeUndefined()
    await expect(findServer(folder.path)).rejects.toThrow(/is not the data folder of a server/)
  })
})

describe('settings of a server', () => {
  test('settings - are those of the start that they were saved for, and of the last one when nothing runs', async () => {
    await using folder = temporaryFolder()
    expect(savedSettings(folder.path)).toBeUndefined()
    saveSettings(folder.path, { cwd: '/a', config: '/a/zoo.cfg' }, own)
    expect(savedSettings(folder.path, own)).toEqual({ cwd: '/a', config: '/a/zoo.cfg' })
    expect(savedSettings(folder.path)).toEqual({ cwd: '/a', config: '/a/zoo.cfg' })
    expect(savedSettings(folder.path, { ...own, startedAt: '2020-01-01T00:00:00.000Z' })).toBeUndefined()
    expect(savedSettings(folder.path, { ...own, pid: own.pid + 1 })).toBeUndefined()
  })

  test('settings - instead of any free port there is the one that it got', async () => {
    await using folder = temporaryFolder()
    saveSettings(folder.path, { cwd: '/a', port: 0 }, { ...own, port: 5000 })
    expect(savedSettings(folder.path)).toEqual({ cwd: '/a', port: 5000 })
  })
})

describe('stop of a server', () => {
  const { pid } = own

  test('stop - a process that may be another one is left alone', async () => {
    // The system does not tell which process it is, and nobody answers where it should listen.
    for (const server of [{ identity: { pid } }, { identity: { pid }, address: { ...own, pid } }]) {
      await expect(stopServer(server)).rejects.toMatchObject({
        code: 'SERVER_NOT_STOPPED',
        message: `it cannot be told whether process ${pid} still is the server: end it yourself if it is`,
      })
    }
  })

  test('stop - one that does not end is not killed, and told of', async () => {
    const program = 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1e6); console.log()'
    const stubborn = new TestProcess(process.execPath, ['-e', program])
    await stubborn.line(() => true)
    // It is known by what answers at its address.
    const answering = createServer(socket => socket.resume().end('Zookeeper version: 3'))
    await new Promise<void>(resolve => answering.listen(0, '127.0.0.1', resolve))
    const { port } = answering.address() as AddressInfo
    const identity = { pid: stubborn.pid }
    const address = { ...own, ...identity, port }
    await expect(stopServer({ identity, address }, undefined, 1)).rejects.toMatchObject({
      code: 'SERVER_NOT_STOPPED',
      message: expect.stringContaining(`process ${stubborn.pid}, has not ended within 0.001 s`),
    })
    expect(await stubborn.kill()).toEqual({ code: null, signal: 'SIGKILL' })
    expect(await stopServer({ identity, address })).toBeUndefined()
    await new Promise(resolve => answering.close(resolve))
  })
})

test.each([
  [0, '0 s'],
  [59_999, '59 s'],
  [192_000, '3 min 12 s'],
  [3_600_000, '1 h 0 min'],
  [190_800_000, '2 d 5 h'],
])('duration - %d ms is %s', (durationMs, text) => {
  expect(duration(durationMs)).toBe(text)
})
