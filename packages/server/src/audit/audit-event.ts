/** Who changed what, or tried to. The names are those of Apache's audit log. */
export interface AuditEvent {
  /** Of the session, in hexadecimal; none where the server itself acts. */
  readonly session?: string
  /** Whoever the connection has proven to be, separated by commas. */
  readonly user: string
  readonly ip?: string
  readonly operation:
    | 'serverStart'
    | 'serverStop'
    | 'create'
    | 'delete'
    | 'setData'
    | 'setAcl'
    | 'multiOperation'
    | 'reconfig'
    | 'ephemeralZNodeDeletionOnSessionCloseOrExpire'
  readonly znode?: string
  /** Of a created znode: `persistent`, `ephemeral_sequential` and so on. */
  readonly znodeType?: string
  /** The new access list, as `scheme:id:permissions`, one after the other. */
  readonly acl?: string
  readonly result: 'success' | 'failure' | 'invoked'
}

export type AuditListener = (event: AuditEvent) => void

/** The line that Apache's audit log has for the event: `name=value`, with tabs between. */
export function auditLine(event: AuditEvent): string {
  const { session, user, ip, operation, znode, znodeType, acl, result } = event
  const fields = { session, user, ip, operation, znode, znode_type: znodeType, acl, result }
  return Object.entries(fields)
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${escape(value)}`]))
    .join('\t')
}

/** A znode's name cannot make a line look like two, or like another. */
function escape(value: string): string {
  return value.replace(/[\t\n\r\\\u2028\u2029\u0085]/g, character => encodeURIComponent(character))
}
