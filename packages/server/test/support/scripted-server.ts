import { silentLogger } from '@conclave/core'
import { OPEN_ACL, OpCode, type Txn } from '@conclave/protocol'
import { SimulatedDisk } from '@conclave/testing'
import { GroupCommit } from '../../src/pipeline/group-commit.ts'
import type { ServerState } from '../../src/state/server-state.ts'
import type { SnapshotForm } from '../../src/storage/compression/snapshot-form.ts'
import { DataFolder } from '../../src/storage/data-folder.ts'
import { recover, syncRecovered } from '../../src/storage/recovery.ts'
import { writeSnapshot, type WrittenSnapshot } from '../../src/storage/snapshot-writer.ts'
import { TxnLog } from '../../src/storage/txn-log.ts'

export const TICK_MS = 1_000
const SESSION = 0x0100_0000_0000_0001n

/** State and storage as the server has them, without clients: what is executed, and what was acknowledged. */
export class ScriptedServer {
  readonly disk: SimulatedDisk
  readonly state: ServerState
  readonly commit: GroupCommit
  readonly log: TxnLog
  readonly folder: DataFolder
  failure: unknown
  /** The zxid up to which clients were answered. */
  acknowledgedZxid = 0
  readonly #zxids: number[] = []

  private constructor(disk: SimulatedDisk, folder: DataFolder, state: ServerState) {
    this.disk = disk
    this.folder = folder
    this.state = state
    this.log = new TxnLog(folder, { preallocatedBytes: 4_096, filledBytes: 4_096 })
    this.acknowledgedZxid = state.lastZxid
    this.commit = new GroupCommit(
      this.log,
      {
        onDurable: () => (this.acknowledgedZxid = this.#zxids[this.commit.durable - 1]!),
        onFailure: error => (this.failure = error),
      },
      silentLogger,
    )
  }

  static async start(disk: SimulatedDisk = new SimulatedDisk()): Promise<ScriptedServer> {
    const folder = new DataFolder(disk, 'data')
    await folder.prepare()
    await folder.removeUnfinished()
    const { state, isNew } = await recover(folder, TICK_MS, silentLogger)
    if (isNew) await writeSnapshot(folder, state, { form: 'none', isDurable: async () => {} })
    else await syncRecovered(folder)
    return new ScriptedServer(disk, folder, state)
  }

  execute(txn: Txn): void {
    const zxid = this.state.lastZxid + 1
    const header = { sessionId: SESSION, cxid: zxid, zxid, timeMs: 1_000_000 + zxid, type: txn.type }
    this.state.apply(header, txn)
    this.#zxids.push(zxid)
    this.commit.append(header, txn, this.state.tree.digest)
  }

  create(path: string, data: string = path): void {
    const parent = this.state.tree.get(path.slice(0, path.lastIndexOf('/')) || '/')!
    const parentCversion = parent.cversion + 1
    const type = OpCode.create2
    this.execute({ type, path, data: Buffer.from(data), acl: OPEN_ACL, ephemeral: false, parentCversion })
  }

  snapshot(form: SnapshotForm = 'none'): Promise<WrittenSnapshot> {
    return writeSnapshot(this.folder, this.state, { form, isDurable: () => this.commit.drain() })
  }

  /** The state as it is on the disk, described. */
  async reread(): Promise<string[]> {
    return describeState((await recover(new DataFolder(this.disk, 'data'), TICK_MS, silentLogger)).state)
  }
}

/** What a tree holds, as text, to be compared. */
export function describeState(state: ServerState): string[] {
  const lines = [`zxid ${state.lastZxid}`, `digest ${state.tree.digest.value}`]
  for (const { id, timeoutMs } of state.sessions.sessions.values()) lines.push(`session ${id} ${timeoutMs}`)
  for (const [path, znode] of state.tree.walk()) {
    const { acl, czxid, mzxid, pzxid, version, cversion, aversion, owner, children } = znode
    const stat = [czxid, mzxid, pzxid, version, cversion, aversion, owner].join(' ')
    const names = [...(children ?? [])].sort().join(',')
    lines.push(
      `${path} ${state.tree.dataOf(znode)?.toString() ?? 'null'} ${stat} ${JSON.stringify(acl.acl)} [${names}]`,
    )
  }
  return lines.sort()
}
