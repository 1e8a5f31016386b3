import { auth, create, deleteNode, multi, OPEN_ACL, setAcl, setData } from '@conclave/protocol'
import { auditLine, type AuditEvent } from '@conclave/server'
import { RawSession } from '@conclave/testing'
import { userInfo } from 'node:os'
import { expect, test } from 'vitest'
import { startServer } from '../support/embedded.ts'

test('audit - every change and every try is told, with who it was', async () => {
  const lines: string[] = []
  {
    await using running = await startServer({ audit: event => lines.push(auditLine(event)) })
    await using session = await RawSession.connect(running.server.endpoint)
    const id = `0x${session.sessionId.toString(16)}`
    await session.call(auth, { type: 0, scheme: 'digest', auth: Buffer.from('bob:secret') })
    const znode = { data: null, acl: OPEN_ACL }
    await session.call(create, { ...znode, path: '/a', flags: 0 })
    await session.call(create, { ...znode, path: '/a/s-', flags: 3 })
    await session.call(create, { ...znode, path: '/no/parent', flags: 0 })
    await session.call(setData, { path: '/a', data: null, version: -1 })
    await session.call(setAcl, {
      path: '/a',
      acl: [{ perms: 3, scheme: 'world', id: 'anyone' }],
      version: -1,
    })
    await session.call(multi, {
      ops: [
        { op: 'create', ...znode, path: '/m', flags: 1 },
        { op: 'check', path: '/m', version: 0 },
        { op: 'delete', path: '/m', version: -1 },
      ],
    })
    await session.call(multi, { ops: [{ op: 'delete', path: '/nothing', version: -1 }] })
    await session.call(deleteNode, { path: '/a', version: 7 })
    running.server.expireSession(session.sessionId)
    const who = `session=${id}\tuser=127.0.0.1,bob\tip=127.0.0.1`
    const server = userInfo().username
    expect(lines).toEqual([
      `user=${server}\toperation=serverStart\tresult=success`,
      `${who}\toperation=create\tznode=/a\tznode_type=persistent\tresult=success`,
      `${who}\toperation=create\tznode=/a/s-0000000000\tznode_type=ephemeral_sequential\tresult=success`,
      `${who}\toperation=create\tznode=/no/parent\tznode_type=persistent\tresult=failure`,
      `${who}\toperation=setData\tznode=/a\tresult=success`,
      `${who}\toperation=setAcl\tznode=/a\tacl=world:anyone:rw\tresult=success`,
      `${who}\toperation=create\tznode=/m\tznode_type=ephemeral\tresult=success`,
      `${who}\toperation=delete\tznode=/m\tresult=success`,
      `${who}\toperation=multiOperation\tresult=failure`,
      `${who}\toperation=delete\tznode=/a\tresult=failure`,
      `session=${id}\tuser=${server}\toperation=ephemeralZNodeDeletionOnSessionCloseOrExpire\tznode=/a/s-0000000000\tresult=success`,
    ])
  }
  expect(lines.at(-1)).toBe(`user=${userInfo().username}\toperation=serverStop\tresult=invoked`)
})

test('audit - a request that cannot be read is a failure without a path', async () => {
  const events: AuditEvent[] = []
  await using running = await startServer({ audit: event => events.push(event) })
  await using session = await RawSession.connect(running.server.endpoint)
  await session.request(create.opCode, writer => writer.int32(99))
  expect(events.at(-1)).toMatchObject({ operation: 'create', result: 'failure' })
  expect(events.at(-1)).not.toHaveProperty('znode')
})

test('audit - where it cannot be written the server says so once, and goes on', async () => {
  const messages: string[] = []
  const logger = { log: (_level: string, message: string) => void messages.push(message) }
  let isFull = true
  const events: AuditEvent[] = []
  const audit = (event: AuditEvent): void => {
    if (isFull) throw new Error('no space left on device')
    events.push(event)
  }
  await using running = await startServer({ audit, logger })
  await using session = await RawSession.connect(running.server.endpoint)
  for (const path of ['/a', '/b', '/c']) {
    const { errorCode } = await session.call(create, { path, data: null, acl: OPEN_ACL, flags: 0 })
    expect(errorCode).toBe(0)
    isFull = path === '/a'
  }
  expect(messages.filter(message => message.includes('audit'))).toEqual(['the audit log misses events'])
  expect(events).toMatchObject([{ znode: '/c' }])
})

test('audit - the name of a znode cannot forge a line', () => {
  const event: AuditEvent = { user: 'bob', operation: 'delete', znode: '/a\n\tresult=x', result: 'failure' }
  expect(auditLine(event)).toBe('user=bob\toperation=delete\tznode=/a%0A%09result=x\tresult=failure')
})
