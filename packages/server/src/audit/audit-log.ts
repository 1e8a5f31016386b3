import { userInfo } from 'node:os'
import type { Logger } from '@conclave/core'
import {
  createModeFromFlags,
  CreateRequest,
  MultiRequest,
  OpCode,
  Permission,
  ProtocolError,
  SetAclRequest,
  type Acl,
  type JuteReader,
  type Txn,
} from '@conclave/protocol'
import { hex } from '../admin/server-facts.ts'
import type { ClientConnection } from '../net/client-connection.ts'
import type { AuditEvent, AuditListener } from './audit-event.ts'

type Operation = AuditEvent['operation']

/** The name of each operation that is told of. */
const OPERATIONS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [OpCode.create, 'create'],
  [OpCode.create2, 'create'],
  [OpCode.createContainer, 'create'],
  [OpCode.createTtl, 'create'],
  [OpCode.delete, 'delete'],
  [OpCode.setData, 'setData'],
  [OpCode.setAcl, 'setAcl'],
  [OpCode.multi, 'multiOperation'],
  [OpCode.reconfig, 'reconfig'],
])

const LETTERS = [
  [Permission.create, 'c'],
  [Permission.delete, 'd'],
  [Permission.read, 'r'],
  [Permission.write, 'w'],
  [Permission.admin, 'a'],
] as const

/** Makes audit events of requests and of what the server does by itself. A listener that throws misses them, nothing else. */
export class AuditLog {
  readonly #listener: AuditListener
  readonly #logger: Logger
  #isMissing = false

  constructor(listener: AuditListener, logger: Logger) {
    this.#listener = listener
    this.#logger = logger
  }

  #tell(event: AuditEvent): void {
    try {
      this.#listener(event)
      this.#isMissing = false
    } catch (error) {
      // The first of many.
      if (!this.#isMissing) this.#logger.log('error', 'the audit log misses events', { error })
      this.#isMissing = true
    }
  }

  /** A request with this body was carried out as `txn`, or refused where that is an error code. */
  request(client: ClientConnection, opCode: number, body: JuteReader, txn: Txn | number): void {
    if (typeof txn === 'object' && txn.type === OpCode.multi) return this.#multi(client, body, txn.txns)
    const operation = OPERATIONS.get(opCode)
    if (operation === undefined) return
    const asked = describe(operation, opCode, body)
    if (typeof txn === 'number') return this.#of(client, { operation, ...asked, result: 'failure' })
    // With the number that a sequential one was given.
    const made = 'path' in txn ? { znode: txn.path } : {}
    this.#of(client, { operation, ...asked, ...made, result: 'success' })
  }

  #multi(client: ClientConnection, body: JuteReader, txns: readonly Txn[]): void {
    if (txns.some(({ type }) => type === OpCode.error)) {
      return this.#of(client, { operation: 'multiOperation', result: 'failure' })
    }
    const { ops } = MultiRequest.read(body)
    for (const [i, txn] of txns.entries()) {
      const operation = OPERATIONS.get(txn.type)
      const op = ops[i]!
      if (operation === undefined || !('path' in txn)) continue
      const type = 'flags' in op ? znodeType(op.flags) : {}
      this.#of(client, { operation, znode: txn.path, ...type, result: 'success' })
    }
  }

  /** A session has ended, and taken these with it. */
  ephemeralsDeleted(sessionId: bigint, paths: readonly string[]): void {
    const operation = 'ephemeralZNodeDeletionOnSessionCloseOrExpire'
    for (const znode of paths) {
      this.#tell({ session: hex(sessionId), user: userInfo().username, operation, znode, result: 'success' })
    }
  }

  serverStarted(): void {
    this.#tell({ user: userInfo().username, operation: 'serverStart', result: 'success' })
  }

  serverStops(): void {
    this.#tell({ user: userInfo().username, operation: 'serverStop', result: 'invoked' })
  }

  #of(
    client: ClientConnection,
    event: Pick<AuditEvent, 'operation' | 'result' | 'znode' | 'znodeType' | 'acl'>,
  ): void {
    const users = client.identities.map(({ scheme, id }) => (scheme === 'digest' ? id.split(':', 1)[0]! : id))
    const user = users.filter(name => name !== '').join(',')
    this.#tell({ session: hex(client.sessionId), user, ip: client.host, ...event })
  }
}

/** What a request says of itself, as far as it can be read. */
function describe(
  operation: Operation,
  opCode: number,
  body: JuteReader,
): Pick<AuditEvent, 'znode' | 'znodeType' | 'acl'> {
  try {
    switch (operation) {
      case 'create': {
        const { path, flags } = CreateRequest.read(body)
        return { znode: path, ...znodeType(flags) }
      }
      case 'setAcl': {
        const { path, acl } = SetAclRequest.read(body)
        return { znode: path, acl: acl.map(aclText).join('') }
      }
      default:
        return opCode === OpCode.multi || opCode === OpCode.reconfig ? {} : { znode: body.string() }
    }
  } catch (error) {
    if (error instanceof ProtocolError) return {}
    throw error
  }
}

/** `persistentSequential` is `persistent_sequential` there. */
function znodeType(flags: number): Pick<AuditEvent, 'znodeType'> {
  const mode = createModeFromFlags(flags)
  return mode === undefined ? {} : { znodeType: mode.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`) }
}

function aclText({ scheme, id, perms }: Acl): string {
  const letters = LETTERS.filter(([bit]) => (perms & bit) !== 0).map(([, letter]) => letter)
  return `${scheme}:${id}:${letters.join('')}`
}
