import { OpCode } from '@conclave/protocol'
import { getAcl, setAcl } from './acl.ts'
import { create, create2, createContainer, createTtl } from './create.ts'
import { deleteNode } from './delete.ts'
import { multiRead } from './multi.ts'
import type { BodylessOperation, ReadOperation } from './read-operation.ts'
import { exists, getAllChildrenNumber, getChildren, getChildren2, getData } from './read-znode.ts'
import { reconfig } from './reconfig.ts'
import { getEphemerals, ping, sync, whoAmI } from './session-reads.ts'
import { setData } from './set-data.ts'
import { addWatch, checkWatches, removeWatches, setWatches, setWatches2 } from './watches.ts'
import type { WriteOperation } from './write-operation.ts'

/** Every operation that only reads, by opcode. */
export const READ_OPERATIONS: ReadonlyMap<number, ReadOperation> = new Map([
  [OpCode.addWatch, addWatch],
  [OpCode.exists, exists],
  [OpCode.getAcl, getAcl],
  [OpCode.getAllChildrenNumber, getAllChildrenNumber],
  [OpCode.getChildren, getChildren],
  [OpCode.getChildren2, getChildren2],
  [OpCode.getData, getData],
  [OpCode.getEphemerals, getEphemerals],
  [OpCode.multiRead, multiRead],
  [OpCode.sync, sync],
  [OpCode.whoAmI, whoAmI],
])

/** Every operation that only reads and answers with a header alone, by opcode. */
export const BODYLESS_OPERATIONS: ReadonlyMap<number, BodylessOperation> = new Map([
  [OpCode.checkWatches, checkWatches],
  [OpCode.ping, ping],
  [OpCode.removeWatches, removeWatches],
  [OpCode.setWatches, setWatches],
  [OpCode.setWatches2, setWatches2],
])

/** Every operation that is one transaction, by opcode. */
export const WRITE_OPERATIONS: ReadonlyMap<number, WriteOperation> = new Map([
  [OpCode.create, create],
  [OpCode.create2, create2],
  [OpCode.createContainer, createContainer],
  [OpCode.createTtl, createTtl],
  [OpCode.delete, deleteNode],
  [OpCode.reconfig, reconfig],
  [OpCode.setAcl, setAcl],
  [OpCode.setData, setData],
])
