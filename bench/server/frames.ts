import {
  ConnectRequest,
  CreateRequest,
  JuteWriter,
  OPEN_ACL,
  OpCode,
  PathVersionRequest,
  PathWatchRequest,
  SetDataRequest,
} from '@conclave/protocol'

/** Requests are answered in their order, so nobody looks at this. */
const XID = 1

/** A whole frame: length, then what is written. */
function frame(write: (writer: JuteWriter) => void): Buffer {
  const writer = new JuteWriter()
  writer.int32(0)
  write(writer)
  writer.patchInt32(0, writer.length - 4)
  return writer.copy()
}

function request(opCode: number, write: (writer: JuteWriter) => void): Buffer {
  return frame(writer => {
    writer.int32(XID)
    writer.int32(opCode)
    write(writer)
  })
}

/** The handshake of a new session. */
export const CONNECT = frame(writer =>
  ConnectRequest.write(writer, {
    protocolVersion: 0,
    lastZxidSeen: 0n,
    timeoutMs: 30_000,
    sessionId: 0n,
    password: Buffer.alloc(16),
    readOnly: false,
  }),
)

export function getDataFrame(path: string, watch = false): Buffer {
  return request(OpCode.getData, writer => PathWatchRequest.write(writer, { path, watch }))
}

export function existsFrame(path: string): Buffer {
  return request(OpCode.exists, writer => PathWatchRequest.write(writer, { path, watch: false }))
}

export function setDataFrame(path: string, data: Uint8Array): Buffer {
  return request(OpCode.setData, writer => SetDataRequest.write(writer, { path, data, version: -1 }))
}

export function createFrame(path: string, data: Uint8Array): Buffer {
  return request(OpCode.create, writer =>
    CreateRequest.write(writer, { path, data, acl: OPEN_ACL, flags: 0 }),
  )
}

export function deleteFrame(path: string): Buffer {
  return request(OpCode.delete, writer => PathVersionRequest.write(writer, { path, version: -1 }))
}

export const CLOSE_SESSION = request(OpCode.closeSession, () => {})
