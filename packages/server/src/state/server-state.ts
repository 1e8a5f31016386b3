import { OpCode, type Txn, type TxnHeader } from '@conclave/protocol'
import { DataTree } from './data-tree.ts'
import { SessionTracker } from './session-tracker.ts'
import { CONTAINER_OWNER, ttlOwner } from './znode.ts'

/** After every so many transactions the digest is kept, for the last so many times. (Apache's `DataTree`) */
const DIGEST_INTERVAL = 128
const MAX_DIGESTS = 1024

/** The digest of the tree after a transaction. */
export interface DigestAt {
  readonly zxid: number
  readonly digest: bigint
}

/**
 * All that the log describes: the tree, the sessions and the last zxid. Pure: the same transactions in the same order
 * always make the same state, whether they are applied as they come or read back from the log.
 */
export class ServerState {
  readonly tree = new DataTree()
  readonly sessions: SessionTracker
  /** The last transaction applied. */
  lastZxid = 0
  readonly #digests: DigestAt[] = []

  /** Sessions expire at multiples of `expiryStepMs`. */
  constructor(expiryStepMs: number) {
    this.sessions = new SessionTracker(expiryStepMs)
  }

  /** Applies a transaction. A session that it creates begins to live when it is first heard of. */
  apply(header: TxnHeader, txn: Txn): void {
    this.applyPart(header, txn)
    this.moveOn(header.zxid)
  }

  /** All parts of a transaction were applied. */
  moveOn(zxid: number): void {
    this.lastZxid = zxid
    const { digest } = this.tree
    if (zxid % DIGEST_INTERVAL !== 0 || !digest.isKnown) return
    this.#digests.push({ zxid, digest: digest.value })
    if (this.#digests.length > MAX_DIGESTS) this.#digests.shift()
  }

  /** Digests of some moments, by which this tree can be compared with another's. */
  get digests(): readonly DigestAt[] {
    return this.#digests
  }

  /** Applies one part of a multi, or a transaction that is no multi, without moving on to its zxid. */
  applyPart(header: TxnHeader, txn: Txn): void {
    const { tree } = this
    switch (txn.type) {
      case OpCode.create:
      case OpCode.create2: {
        const owner = txn.ephemeral ? header.sessionId : 0n
        return tree.create(txn.path, txn.data, txn.acl, owner, txn.parentCversion, header)
      }
      case OpCode.createTtl:
        return tree.create(txn.path, txn.data, txn.acl, ttlOwner(txn.ttlMs), txn.parentCversion, header)
      case OpCode.createContainer:
        return tree.create(txn.path, txn.data, txn.acl, CONTAINER_OWNER, txn.parentCversion, header)
      case OpCode.delete:
      case OpCode.deleteContainer:
        return tree.delete(txn.path, header.zxid)
      case OpCode.setData:
      case OpCode.reconfig:
        return tree.setData(txn.path, txn.data, txn.version, header)
      case OpCode.setAcl:
        return tree.setAcl(txn.path, txn.acl, txn.version)
      case OpCode.createSession:
        this.sessions.add(header.sessionId, txn.timeoutMs, 0)
        return
      case OpCode.closeSession:
        return this.#closeSession(header, txn.paths)
      case OpCode.multi:
        // A failed multi stands in the log too: as the errors of its parts.
        if (txn.txns.some(({ type }) => type === OpCode.error)) return
        for (const part of txn.txns) this.applyPart(header, part)
        return
      case OpCode.check:
      case OpCode.error:
        return
    }
  }

  #closeSession(header: TxnHeader, paths: readonly string[] | null): void {
    for (const path of paths ?? []) this.tree.delete(path, header.zxid)
    for (const path of [...(this.tree.ephemerals.get(header.sessionId) ?? [])])
      this.tree.delete(path, header.zxid)
    this.sessions.remove(header.sessionId)
  }

  /** After recovery: ephemeral znodes without a session go. (Apache's `ZooKeeperServer.loadData`) */
  removeOrphans(): void {
    for (const [sessionId, paths] of [...this.tree.ephemerals]) {
      if (this.sessions.get(sessionId) !== undefined) continue
      for (const path of [...paths]) this.tree.delete(path, this.lastZxid)
    }
  }
}
