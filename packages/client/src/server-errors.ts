import { ErrorCode } from '@conclave/protocol'
import { ConnectionLossError, SessionExpiredError, ZooKeeperError, type ErrorContext } from './errors.ts'

/** A failure inside the server. */
export class SystemError extends ZooKeeperError {
  override readonly name = 'SystemError'
  constructor(context?: ErrorContext) {
    super({ code: 'SYSTEM_ERROR', what: 'the server failed' }, context)
  }
}

/** The server found its state inconsistent; in a multi: not tried, because another operation failed. */
export class RuntimeInconsistencyError extends ZooKeeperError {
  override readonly name = 'RuntimeInconsistencyError'
  constructor(context?: ErrorContext) {
    super({ code: 'RUNTIME_INCONSISTENCY', what: 'not tried, because an earlier operation failed' }, context)
  }
}

/** The server found its data inconsistent. */
export class DataInconsistencyError extends ZooKeeperError {
  override readonly name = 'DataInconsistencyError'
  constructor(context?: ErrorContext) {
    super({ code: 'DATA_INCONSISTENCY', what: 'the server found its data inconsistent' }, context)
  }
}

/** The server could not read the request. */
export class MarshallingError extends ZooKeeperError {
  override readonly name = 'MarshallingError'
  constructor(context?: ErrorContext) {
    super({ code: 'MARSHALLING', what: 'the server could not read the request' }, context)
  }
}

/**
 * The server is too old for the operation, or has it switched off. Apache's servers end the connection after it: writes
 * that are on their way at the time may end with `ConnectionLossError`.
 */
export class UnimplementedError extends ZooKeeperError {
  override readonly name = 'UnimplementedError'
  constructor(context?: ErrorContext) {
    super({ code: 'UNIMPLEMENTED', what: 'this server does not know the operation' }, context)
  }
}

/** The arguments cannot work, such as deleting `/`. What is seen before anything is sent says what is wrong. */
export class BadArgumentsError extends ZooKeeperError {
  override readonly name = 'BadArgumentsError'
  constructor(context?: ErrorContext, what: string = 'the server refused the arguments') {
    super({ code: 'BAD_ARGUMENTS', what }, context)
  }
}

/** No quorum of the new configuration is connected and in step with the leader. */
export class NewConfigNoQuorumError extends ZooKeeperError {
  override readonly name = 'NewConfigNoQuorumError'
  constructor(context?: ErrorContext) {
    super({ code: 'NEW_CONFIG_NO_QUORUM', what: 'no quorum of the new configuration is connected' }, context)
  }
}

/** Another reconfiguration is going on. */
export class ReconfigInProgressError extends ZooKeeperError {
  override readonly name = 'ReconfigInProgressError'
  constructor(context?: ErrorContext) {
    super({ code: 'RECONFIG_IN_PROGRESS', what: 'another reconfiguration is going on' }, context)
  }
}

/** An API error of the server. */
export class ApiError extends ZooKeeperError {
  override readonly name = 'ApiError'
  constructor(context?: ErrorContext) {
    super({ code: 'API', what: 'the server reported an API error' }, context)
  }
}

/** The znode, or for `create` its parent, does not exist. */
export class NoNodeError extends ZooKeeperError {
  override readonly name = 'NoNodeError'
  constructor(context?: ErrorContext) {
    super({ code: 'NO_NODE', what: 'the znode does not exist' }, context)
  }
}

/** The ACL does not permit it to any identity of this session. */
export class NoAuthError extends ZooKeeperError {
  override readonly name = 'NoAuthError'
  constructor(context?: ErrorContext) {
    super({ code: 'NO_AUTH', what: 'not permitted by the ACL' }, context)
  }
}

/** The version is another than the expected one. */
export class BadVersionError extends ZooKeeperError {
  override readonly name = 'BadVersionError'
  constructor(context?: ErrorContext) {
    super({ code: 'BAD_VERSION', what: 'the version is another than expected' }, context)
  }
}

/** The parent is ephemeral, and such znodes have no children. */
export class NoChildrenForEphemeralsError extends ZooKeeperError {
  override readonly name = 'NoChildrenForEphemeralsError'
  constructor(context?: ErrorContext) {
    super({ code: 'NO_CHILDREN_FOR_EPHEMERALS', what: 'an ephemeral znode cannot have children' }, context)
  }
}

/** The znode exists already. */
export class NodeExistsError extends ZooKeeperError {
  override readonly name = 'NodeExistsError'
  constructor(context?: ErrorContext) {
    super({ code: 'NODE_EXISTS', what: 'the znode exists already' }, context)
  }
}

/** The znode has children. */
export class NotEmptyError extends ZooKeeperError {
  override readonly name = 'NotEmptyError'
  constructor(context?: ErrorContext) {
    super({ code: 'NOT_EMPTY', what: 'the znode has children' }, context)
  }
}

/** The ACL is empty, malformed, or names an unknown scheme. */
export class InvalidAclError extends ZooKeeperError {
  override readonly name = 'InvalidAclError'
  constructor(context?: ErrorContext) {
    super({ code: 'INVALID_ACL', what: 'the ACL is invalid' }, context)
  }
}

/** The server refused the credentials. */
export class AuthFailedError extends ZooKeeperError {
  override readonly name = 'AuthFailedError'
  constructor(context?: ErrorContext) {
    super({ code: 'AUTH_FAILED', what: 'the credentials were refused' }, context)
  }
}

/** The session has moved to another connection. */
export class SessionMovedError extends ZooKeeperError {
  override readonly name = 'SessionMovedError'
  constructor(context?: ErrorContext) {
    super({ code: 'SESSION_MOVED', what: 'the session has moved to another server' }, context)
  }
}

/** A write was sent to a server that is cut off from its ensemble and only reads. */
export class NotReadOnlyError extends ZooKeeperError {
  override readonly name = 'NotReadOnlyError'
  constructor(context?: ErrorContext) {
    super({ code: 'NOT_READ_ONLY', what: 'the server only reads at present' }, context)
  }
}

/** A local session cannot own ephemeral znodes. */
export class EphemeralOnLocalSessionError extends ZooKeeperError {
  override readonly name = 'EphemeralOnLocalSessionError'
  constructor(context?: ErrorContext) {
    super(
      { code: 'EPHEMERAL_ON_LOCAL_SESSION', what: 'a local session cannot own ephemeral znodes' },
      context,
    )
  }
}

/** There is no such watch. */
export class NoWatcherError extends ZooKeeperError {
  override readonly name = 'NoWatcherError'
  constructor(context?: ErrorContext) {
    super({ code: 'NO_WATCHER', what: 'there is no such watch' }, context)
  }
}

/** Reconfiguration is disabled on this server. */
export class ReconfigDisabledError extends ZooKeeperError {
  override readonly name = 'ReconfigDisabledError'
  constructor(context?: ErrorContext) {
    super({ code: 'RECONFIG_DISABLED', what: 'reconfiguration is disabled on this server' }, context)
  }
}

/** The server requires SASL authentication and ends the session. */
export class SaslRequiredError extends ZooKeeperError {
  override readonly name = 'SaslRequiredError'
  constructor(context?: ErrorContext) {
    super({ code: 'SASL_REQUIRED', what: 'the server requires SASL authentication' }, context)
  }
}

/** A hard quota on the subtree would be exceeded. */
export class QuotaExceededError extends ZooKeeperError {
  override readonly name = 'QuotaExceededError'
  constructor(context?: ErrorContext) {
    super({ code: 'QUOTA_EXCEEDED', what: 'a quota would be exceeded' }, context)
  }
}

/** The server gave up waiting; whether it was applied is unknown. */
export class OperationTimeoutError extends ZooKeeperError {
  override readonly name = 'OperationTimeoutError'
  constructor(context?: ErrorContext) {
    super(
      { code: 'OPERATION_TIMEOUT', what: 'the server took too long', retryable: true },
      { outcome: 'unknown', ...context },
    )
  }
}

/** The ensemble did not agree in time; whether it was applied is unknown. */
export class RequestTimeoutError extends ZooKeeperError {
  override readonly name = 'RequestTimeoutError'
  constructor(context?: ErrorContext) {
    super(
      { code: 'REQUEST_TIMEOUT', what: 'the ensemble took too long', retryable: true },
      { outcome: 'unknown', ...context },
    )
  }
}

/** The server is overloaded and did not try it. */
export class ThrottledError extends ZooKeeperError {
  override readonly name = 'ThrottledError'
  constructor(context?: ErrorContext) {
    super({ code: 'THROTTLED', what: 'refused because the server is overloaded', retryable: true }, context)
  }
}

/** A code that ZooKeeper 3.9 does not have. */
export class UnknownServerError extends ZooKeeperError {
  override readonly name = 'UnknownServerError'
  /** As it came on the wire. */
  readonly errorCode: number
  constructor(errorCode: number, context?: ErrorContext) {
    super({ code: 'UNKNOWN_SERVER_ERROR', what: `the server answered with error ${errorCode}` }, context)
    this.errorCode = errorCode
  }
}

const CLASSES = new Map<number, new (context?: ErrorContext) => ZooKeeperError>([
  [ErrorCode.systemError, SystemError],
  [ErrorCode.runtimeInconsistency, RuntimeInconsistencyError],
  [ErrorCode.dataInconsistency, DataInconsistencyError],
  [ErrorCode.marshallingError, MarshallingError],
  [ErrorCode.unimplemented, UnimplementedError],
  [ErrorCode.badArguments, BadArgumentsError],
  [ErrorCode.newConfigNoQuorum, NewConfigNoQuorumError],
  [ErrorCode.reconfigInProgress, ReconfigInProgressError],
  [ErrorCode.apiError, ApiError],
  [ErrorCode.noNode, NoNodeError],
  [ErrorCode.noAuth, NoAuthError],
  [ErrorCode.badVersion, BadVersionError],
  [ErrorCode.noChildrenForEphemerals, NoChildrenForEphemeralsError],
  [ErrorCode.nodeExists, NodeExistsError],
  [ErrorCode.notEmpty, NotEmptyError],
  [ErrorCode.invalidAcl, InvalidAclError],
  [ErrorCode.authFailed, AuthFailedError],
  [ErrorCode.sessionMoved, SessionMovedError],
  [ErrorCode.notReadOnly, NotReadOnlyError],
  [ErrorCode.ephemeralOnLocalSession, EphemeralOnLocalSessionError],
  [ErrorCode.noWatcher, NoWatcherError],
  [ErrorCode.reconfigDisabled, ReconfigDisabledError],
  [ErrorCode.sessionClosedRequireSaslAuth, SaslRequiredError],
  [ErrorCode.quotaExceeded, QuotaExceededError],
  [ErrorCode.operationTimeout, OperationTimeoutError],
  [ErrorCode.requestTimeout, RequestTimeoutError],
  [ErrorCode.throttledOp, ThrottledError],
  [ErrorCode.connectionLoss, ConnectionLossError],
  [ErrorCode.sessionExpired, SessionExpiredError],
])

/** The error for a code of a reply. What a server refuses was not applied. */
export function errorFromCode(errorCode: number, context: ErrorContext): ZooKeeperError {
  const ErrorClass = CLASSES.get(errorCode)
  return ErrorClass === undefined ? new UnknownServerError(errorCode, context) : new ErrorClass(context)
}
