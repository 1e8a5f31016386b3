import {
  ConnectRequest,
  ConnectResponse,
  Create2Response,
  ErrorCode,
  EventType,
  exists,
  FrameDecoder,
  GetChildren2Response,
  GetDataResponse,
  JuteReader,
  JuteWriter,
  KeeperState,
  OpCode,
  PathVersionRequest,
  PathWatchRequest,
  ReplyHeader,
  RequestHeader,
  SetDataRequest,
  SetWatchesRequest,
  SpecialXid,
  StatResponse,
  WatcherEvent,
  type Stat,
} from '@conclave/protocol'
import type { Accept, Peer, PeerSocket } from './simulated-network.ts'

interface Znode {
  data: string | null
  version: number
  mzxid: bigint
}

interface FakeSession {
  readonly id: bigint
  readonly password: Buffer
  timeoutMs: number
  connection: FakeConnection | undefined
}

/**
 * Just enough of ZooKeeper for the client's own behaviour: sessions that live until they are expired by hand, flat
 * znodes with versions, one-shot data watches. Every reply is decided when its request arrives.
 */
export class FakeEnsemble {
  readonly znodes = new Map<string, Znode>()
  readonly sessions = new Map<bigint, FakeSession>()
  /** The opcodes received, in order. */
  readonly received: number[] = []
  /** The connect requests received, in order. */
  readonly greetings: ConnectRequest[] = []
  zxid = 0n
  /** What the ensemble grants whatever is asked. */
  timeoutMs = 9_000
  readOnly = false
  /** `false`: the credentials of `auth` are refused. */
  acceptsAuth = true
  /** Answers a SASL token; `undefined` refuses it. */
  sasl: (token: string) => string | undefined = () => undefined
  /** The error code with which the closing of a session is refused; 0 for none. */
  refusal = 0
  /** Opcodes that the servers do not know: refused at once, before what is due, and with the connection. */
  readonly unknown = new Set<number>()
  /** Requests are read but not answered. */
  mute = false
  #nextSession = 0x100n
  readonly connections = new Set<FakeConnection>()

  readonly accept: Accept = socket => {
    const connection = new FakeConnection(this, socket)
    this.connections.add(connection)
    return connection
  }

  openSession(timeoutMs: number): FakeSession {
    const session: FakeSession = {
      id: this.#nextSession++,
      password: Buffer.alloc(16, 7),
      timeoutMs,
      connection: undefined,
    }
    this.sessions.set(session.id, session)
    return session
  }

  /** The servers forget a session; its connection, if there is one, is closed. */
  expire(id: bigint): void {
    const connection = this.sessions.get(id)?.connection
    this.sessions.delete(id)
    connection?.close()
  }

  set(path: string, data: string | null): Znode {
    const znode = this.znodes.get(path) ?? { data: null, version: -1, mzxid: 0n }
    const isNew = znode.version === -1
    znode.data = data
    znode.version++
    znode.mzxid = ++this.zxid
    this.znodes.set(path, znode)
    this.#fire(path, isNew ? EventType.nodeCreated : EventType.nodeDataChanged)
    return znode
  }

  delete(path: string): boolean {
    if (!this.znodes.delete(path)) return false
    this.zxid++
    this.#fire(path, EventType.nodeDeleted)
    return true
  }

  #fire(path: string, type: number): void {
    for (const connection of this.connections) connection.fire(path, type)
  }
}

class FakeConnection implements Peer {
  readonly #ensemble: FakeEnsemble
  readonly #socket: PeerSocket
  readonly #decoder = new FrameDecoder()
  readonly #watches = new Set<string>()
  #session: FakeSession | undefined

  constructor(ensemble: FakeEnsemble, socket: PeerSocket) {
    this.#ensemble = ensemble
    this.#socket = socket
  }

  onData(bytes: Buffer): void {
    if (this.#session === undefined && bytes.toString() === 'isro') {
      this.#socket.write(Buffer.from(this.#ensemble.readOnly ? 'ro' : 'rw'))
      return this.close()
    }
    this.#decoder.push(bytes, (buffer, start, end) => {
      const reader = new JuteReader(buffer, start, end)
      if (this.#session === undefined) return this.#greet(ConnectRequest.read(reader))
      this.#answer(RequestHeader.read(reader), reader)
      return true
    })
  }

  onClose(): void {
    this.#ensemble.connections.delete(this)
    if (this.#session?.connection === this) this.#session.connection = undefined
  }

  close(): void {
    this.onClose()
    this.#socket.close()
  }

  fire(path: string, type: number): void {
    if (!this.#watches.delete(path)) return
    this.#send(writer => {
      ReplyHeader.write(writer, { xid: SpecialXid.notification, zxid: -1n, errorCode: 0 })
      WatcherEvent.write(writer, { type, state: KeeperState.syncConnected, path })
    })
  }

  #greet(request: ConnectRequest): boolean {
    const ensemble = this.#ensemble
    ensemble.greetings.push(request)
    const known = ensemble.sessions.get(request.sessionId)
    if (request.sessionId !== 0n && known === undefined) {
      this.#sendConnect(0, 0n, Buffer.alloc(16))
      this.close()
      return false
    }
    const session = known ?? ensemble.openSession(ensemble.timeoutMs)
    session.connection?.close()
    session.connection = this
    this.#session = session
    this.#sendConnect(session.timeoutMs, session.id, session.password)
    return true
  }

  #sendConnect(timeoutMs: number, sessionId: bigint, password: Uint8Array): void {
    const { readOnly } = this.#ensemble
    this.#send(writer => {
      ConnectResponse.write(writer, { protocolVersion: 0, timeoutMs, sessionId, password, readOnly })
    })
  }

  #answer({ xid, opCode }: RequestHeader, reader: JuteReader): void {
    const ensemble = this.#ensemble
    ensemble.received.push(opCode)
    const reply = (errorCode: number, write: (writer: JuteWriter) => void = () => {}): void => {
      if (ensemble.mute && !ensemble.unknown.has(opCode)) return
      this.#send(writer => {
        ReplyHeader.write(writer, { xid, zxid: ensemble.zxid, errorCode })
        if (errorCode === 0) write(writer)
      })
    }
    if (ensemble.unknown.has(opCode)) {
      reply(ErrorCode.unimplemented)
      return this.close()
    }
    switch (opCode) {
      case OpCode.ping:
        return reply(0)
      case OpCode.auth:
        return reply(ensemble.acceptsAuth ? 0 : ErrorCode.authFailed)
      case OpCode.sasl: {
        const token = ensemble.sasl(String(reader.bytes()))
        if (token === undefined) return reply(ErrorCode.authFailed)
        return reply(0, writer => writer.bytes(Buffer.from(token)))
      }
      case OpCode.addWatch:
        return reply(0, writer => writer.int32(0))
      case OpCode.setWatches2:
        return reply(0)
      case OpCode.setWatches:
        this.#setWatches(SetWatchesRequest.read(reader))
        return reply(0)
      case OpCode.getData:
      case OpCode.exists: {
        const { path, watch } = PathWatchRequest.read(reader)
        // A length that its record does not have.
        if (path === '/garbled') return reply(0, writer => writer.int32(1_000))
        const znode = ensemble.znodes.get(path)
        if (watch && (znode !== undefined || opCode === exists.opCode)) this.#watches.add(path)
        if (znode === undefined) return reply(ErrorCode.noNode)
        const data = znode.data === null ? null : Buffer.from(znode.data)
        const response = { data, stat: statOf(znode) }
        if (opCode === OpCode.getData) return reply(0, writer => GetDataResponse.write(writer, response))
        return reply(0, writer => StatResponse.write(writer, response))
      }
      case OpCode.getChildren2:
        return reply(0, writer => {
          GetChildren2Response.write(writer, {
            children: [...ensemble.znodes.keys()].map(path => path.slice(1)),
            stat: statOf(),
          })
        })
      case OpCode.setData: {
        const { path, data, version } = SetDataRequest.read(reader)
        const znode = ensemble.znodes.get(path)
        if (znode === undefined) return reply(ErrorCode.noNode)
        if (version !== -1 && version !== znode.version) return reply(ErrorCode.badVersion)
        const stat = statOf(ensemble.set(path, data === null ? null : data.toString()))
        return reply(0, writer => StatResponse.write(writer, { stat }))
      }
      case OpCode.create2: {
        const path = reader.string()
        if (ensemble.znodes.has(path)) return reply(ErrorCode.nodeExists)
        const stat = statOf(ensemble.set(path, String(reader.bytes())))
        if (path.endsWith('-garbled')) return reply(0, writer => writer.int32(1_000))
        return reply(0, writer => Create2Response.write(writer, { path, stat }))
      }
      case OpCode.delete: {
        const { path } = PathVersionRequest.read(reader)
        return reply(ensemble.delete(path) ? 0 : ErrorCode.noNode)
      }
      case OpCode.sync: {
        const path = reader.string()
        return reply(0, writer => writer.string(path))
      }
      case OpCode.closeSession:
        if (ensemble.mute) return
        if (ensemble.refusal !== 0) return reply(ensemble.refusal)
        ensemble.sessions.delete(this.#session!.id)
        reply(0)
        return this.close()
      default:
        return reply(ErrorCode.unimplemented)
    }
  }

  #setWatches({ relativeZxid, dataWatches, existWatches }: SetWatchesRequest): void {
    for (const path of [...dataWatches, ...existWatches]) {
      const znode = this.#ensemble.znodes.get(path)
      const wasThere = dataWatches.includes(path)
      this.#watches.add(path)
      if (wasThere && znode === undefined) this.fire(path, EventType.nodeDeleted)
      else if (!wasThere && znode !== undefined) this.fire(path, EventType.nodeCreated)
      else if (znode !== undefined && znode.mzxid > relativeZxid) this.fire(path, EventType.nodeDataChanged)
    }
  }

  #send(write: (writer: JuteWriter) => void): void {
    const writer = new JuteWriter()
    writer.int32(0)
    write(writer)
    writer.patchInt32(0, writer.length - 4)
    this.#socket.write(writer.copy())
  }
}

function statOf(znode?: Znode): Stat {
  return {
    czxid: 1n,
    mzxid: znode?.mzxid ?? 0n,
    ctime: 0,
    mtime: 0,
    version: znode?.version ?? 0,
    cversion: 0,
    aversion: 0,
    ephemeralOwner: 0n,
    dataLength: znode?.data?.length ?? 0,
    numChildren: 0,
    pzxid: 1n,
  }
}
