import { ErrorCode, PathRecord } from '@conclave/protocol'
import type { BodylessOperation, ReadOperation } from './read-operation.ts'

export const ping: BodylessOperation = () => ErrorCode.ok

/** There is no other server to catch up with: everything before it was applied already. */
export const sync: ReadOperation = (_scope, reader, writer) => {
  PathRecord.write(writer, PathRecord.read(reader))
  return ErrorCode.ok
}

/** The paths of the session's ephemeral znodes that begin with a string, which need not be a path. */
export const getEphemerals: ReadOperation = (scope, reader, writer) => {
  const prefix = (reader.nullableString() ?? '').trim()
  const paths = [...(scope.tree.ephemerals.get(scope.sessionId) ?? [])]
  writer.vector(
    prefix === '' || prefix === '/' ? paths : paths.filter(path => path.startsWith(prefix)),
    path => writer.string(path),
  )
  return ErrorCode.ok
}

/** The identities, without what would be a secret: of `digest`, the user alone. */
export const whoAmI: ReadOperation = (scope, _reader, writer) => {
  writer.vector(scope.identities, ({ scheme, id }) => {
    writer.string(scheme)
    writer.string(scheme === 'digest' ? id.split(':', 1)[0]! : id)
  })
  return ErrorCode.ok
}
