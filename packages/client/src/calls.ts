import {
  addWatch,
  checkWatches,
  closeSession,
  create2,
  createContainer,
  createTtl,
  deleteNode,
  ErrorCode,
  exists,
  getAcl,
  getAllChildrenNumber,
  getChildren2,
  getData,
  getEphemerals,
  multi,
  multiRead,
  reconfig,
  removeWatches,
  setAcl,
  setData,
  sync,
  whoAmI,
  type AddWatchRequest,
  type ClientInfo,
  type Create2Response,
  type CreateRequest,
  type CreateTtlRequest,
  type ErrorResponse,
  type GetAclResponse,
  type GetAllChildrenNumberResponse,
  type GetChildren2Response,
  type GetDataResponse,
  type GetEphemeralsResponse,
  type MultiRequest,
  type MultiResponse,
  type Operation,
  type PathRecord,
  type PathVersionRequest,
  type PathWatchRequest,
  type ReconfigRequest,
  type SetAclRequest,
  type SetDataRequest,
  type Stat,
  type StatResponse,
  type WatchesRequest,
  type WhoAmIResponse,
} from '@conclave/protocol'
import type { Chroot } from './chroot.ts'
import { toMultiReadResults, type MultiReadResult } from './multi-read.ts'
import { toMultiResults, type MultiResult } from './multi.ts'
import type { OneShotKind } from './watch-registry.ts'

/** How the client makes use of one operation of the protocol. */
export interface Call<Request = unknown, Response = unknown, Result = unknown> {
  /** The method of the client, for errors. */
  readonly name: string
  readonly operation: Operation<Request, Response>
  /** Sending it twice does no more than sending it once: after a lost connection it is simply sent again. */
  readonly repeatable: boolean
  /** It changes something, though repeatable: after its sending nobody knows whether it has. */
  readonly isWrite?: true
  /** Which kind of watch it can leave. */
  readonly watch?: OneShotKind
  /** What the caller gets for an answer. May throw. */
  result(response: Response, chroot: Chroot): Result
  /** What the caller gets for `noNode`, and which watch that leaves; otherwise it is an error. */
  readonly absent?: { readonly result: Result; readonly watch: OneShotKind }
  /** Sent again, it is fulfilled by `noNode`: it was this very request that removed the znode, or somebody else's. */
  readonly isDoneByAbsence?: true
}

const nothing = (): void => {}

export const createCall: Call<CreateRequest, Create2Response, Create2Response> = {
  name: 'create',
  operation: create2,
  repeatable: false,
  result: withoutChroot,
}

export const createContainerCall: Call<CreateRequest, Create2Response, Create2Response> = {
  name: 'create',
  operation: createContainer,
  repeatable: false,
  result: withoutChroot,
}

export const createTtlCall: Call<CreateTtlRequest, Create2Response, Create2Response> = {
  name: 'create',
  operation: createTtl,
  repeatable: false,
  result: withoutChroot,
}

function withoutChroot(response: Create2Response, chroot: Chroot): Create2Response {
  const path = chroot.strip(response.path)
  return path === response.path ? response : { path, stat: response.stat }
}

export const deleteCall: Call<PathVersionRequest, void, void> = {
  name: 'delete',
  operation: deleteNode,
  repeatable: false,
  result: nothing,
}

export const setDataCall: Call<SetDataRequest, StatResponse, Stat> = {
  name: 'setData',
  operation: setData,
  repeatable: false,
  result: response => response.stat,
}

/** Of the writes, those that do the same when they are done twice: the ones that expect no version. */
export const repeatableDeleteCall: typeof deleteCall = {
  ...deleteCall,
  repeatable: true,
  isWrite: true,
  isDoneByAbsence: true,
}

export const repeatableSetDataCall: typeof setDataCall = { ...setDataCall, repeatable: true, isWrite: true }

export const multiCall: Call<MultiRequest, MultiResponse, MultiResult[]> = {
  name: 'multi',
  operation: multi,
  repeatable: false,
  result: toMultiResults,
}

/** Repeatable, because it is sent with checks alone. */
export const barrierCall: Call<MultiRequest, MultiResponse, MultiResult[]> = {
  ...multiCall,
  repeatable: true,
}

export const existsCall: Call<PathWatchRequest, StatResponse, Stat | null> = {
  name: 'exists',
  operation: exists,
  repeatable: true,
  watch: 'data',
  result: response => response.stat,
  absent: { result: null, watch: 'exist' },
}

export const getDataCall: Call<PathWatchRequest, GetDataResponse, GetDataResponse> = {
  name: 'getData',
  operation: getData,
  repeatable: true,
  watch: 'data',
  result: response => response,
}

export const getChildrenCall: Call<PathWatchRequest, GetChildren2Response, GetChildren2Response> = {
  name: 'getChildren',
  operation: getChildren2,
  repeatable: true,
  watch: 'child',
  result: response => response,
}

export const multiReadCall: Call<MultiRequest, MultiResponse, MultiReadResult[]> = {
  name: 'multiRead',
  operation: multiRead,
  repeatable: true,
  result: toMultiReadResults,
}

export const getAclCall: Call<PathRecord, GetAclResponse, GetAclResponse> = {
  name: 'getAcl',
  operation: getAcl,
  repeatable: true,
  result: response => response,
}

export const setAclCall: Call<SetAclRequest, StatResponse, Stat> = {
  name: 'setAcl',
  operation: setAcl,
  repeatable: false,
  result: response => response.stat,
}

export const repeatableSetAclCall: typeof setAclCall = { ...setAclCall, repeatable: true, isWrite: true }

export const whoAmICall: Call<void, WhoAmIResponse, readonly ClientInfo[]> = {
  name: 'whoAmI',
  operation: whoAmI,
  repeatable: true,
  result: response => response.clientInfo,
}

export const getEphemeralsCall: Call<PathRecord, GetEphemeralsResponse, string[]> = {
  name: 'getEphemerals',
  operation: getEphemerals,
  repeatable: true,
  result: ({ ephemerals }, chroot) => ephemerals.map(path => chroot.strip(path)),
}

export const getAllChildrenNumberCall: Call<PathRecord, GetAllChildrenNumberResponse, number> = {
  name: 'getAllChildrenNumber',
  operation: getAllChildrenNumber,
  repeatable: true,
  result: response => response.totalNumber,
}

export const checkWatchesCall: Call<WatchesRequest, void, void> = {
  name: 'checkWatches',
  operation: checkWatches,
  repeatable: true,
  result: nothing,
}

/** Repeatable: the same watch at the same place is one watch. */
export const addWatchCall: Call<AddWatchRequest, ErrorResponse, void> = {
  name: 'watch',
  operation: addWatch,
  repeatable: true,
  result: nothing,
}

/** Not repeatable: the second time there is no such watch any more. */
export const removeWatchesCall: Call<WatchesRequest, void, void> = {
  name: 'removeWatches',
  operation: removeWatches,
  repeatable: false,
  result: nothing,
}

export const reconfigCall: Call<ReconfigRequest, GetDataResponse, GetDataResponse> = {
  name: 'reconfig',
  operation: reconfig,
  repeatable: false,
  result: response => response,
}

export const syncCall: Call<PathRecord, PathRecord, void> = {
  name: 'sync',
  operation: sync,
  repeatable: true,
  result: nothing,
}

/** Repeated until a server has answered, or does not know the session any more, which comes to the same. */
export const closeSessionCall: Call<void, void, void> = {
  name: 'close',
  operation: closeSession,
  repeatable: true,
  result: nothing,
}

/** The code that `absent` is about. */
export const ABSENT = ErrorCode.noNode
