import type { Codec } from '../codec.ts'

/** `type` of a watch event on the wire. */
export const EventType = {
  none: -1,
  nodeCreated: 1,
  nodeDeleted: 2,
  nodeDataChanged: 3,
  nodeChildrenChanged: 4,
  dataWatchRemoved: 5,
  childWatchRemoved: 6,
  persistentWatchRemoved: 7,
} as const

/** `state` of a watch event on the wire. */
export const KeeperState = {
  disconnected: 0,
  syncConnected: 3,
  authFailed: 4,
  connectedReadOnly: 5,
  saslAuthenticated: 6,
  expired: -112,
  closed: 7,
} as const

/** Says that a watched znode changed. Sent with xid -1. */
export interface WatcherEvent {
  readonly type: number
  readonly state: number
  readonly path: string
}

export const WatcherEvent: Codec<WatcherEvent> = {
  write(writer, event) {
    writer.int32(event.type)
    writer.int32(event.state)
    writer.string(event.path)
  },
  read(reader) {
    return { type: reader.int32(), state: reader.int32(), path: reader.string() }
  },
}
