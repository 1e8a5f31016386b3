import { OpCode } from '@conclave/protocol'

/** How Apache's server abbreviates the operations in `cons`. */
const LETTERS: ReadonlyMap<number, string> = new Map([
  [OpCode.create, 'CREA'],
  [OpCode.create2, 'CREA'],
  [OpCode.createContainer, 'CREA'],
  [OpCode.createTtl, 'CREA'],
  [OpCode.createSession, 'SESS'],
  [OpCode.closeSession, 'CLOS'],
  [OpCode.delete, 'DELE'],
  [OpCode.exists, 'EXIS'],
  [OpCode.getData, 'GETD'],
  [OpCode.setData, 'SETD'],
  [OpCode.getAcl, 'GETA'],
  [OpCode.setAcl, 'SETA'],
  [OpCode.getChildren, 'GETC'],
  [OpCode.getChildren2, 'GETC'],
  [OpCode.getAllChildrenNumber, 'GETACN'],
  [OpCode.getEphemerals, 'GETE'],
  [OpCode.sync, 'SYNC'],
  [OpCode.ping, 'PING'],
  [OpCode.multi, 'MULT'],
  [OpCode.multiRead, 'MLTR'],
  [OpCode.reconfig, 'RECO'],
  [OpCode.setWatches, 'SETW'],
  [OpCode.setWatches2, 'STW2'],
  [OpCode.addWatch, 'ADDW'],
  [OpCode.checkWatches, 'CHKW'],
  [OpCode.removeWatches, 'REMW'],
  [OpCode.whoAmI, 'HOMI'],
])

/** The abbreviation of an opcode; `NA` where there is none. */
export function opLetters(opCode: number): string {
  return LETTERS.get(opCode) ?? 'NA'
}
