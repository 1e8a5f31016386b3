import { codeOf, type Disk } from '@conclave/core'
import { EXTENSIONS, type SnapshotForm } from './compression/snapshot-form.ts'
import { DataFolderError } from './storage-errors.ts'

/** Where Apache ZooKeeper keeps its files inside a data folder: the version of their format. */
const VERSION_FOLDER = 'version-2'
/**
 * What else is found in a data folder of Apache's or of ours, or in one that is a disk of its own: with its configuration
 * and hidden files.
 */
const KNOWN_NAMES =
  /^(version-2|myid|initialize|zookeeper_server\.pid|conclave-server\..*|lost\+found|.*\.(cfg|properties|dynamic(\..*)?)|\..*)$/
/** Unfinished files begin so. */
export const TEMPORARY_PREFIX = 'tmp.'

/** More than a request can be. */
const PROBE_BYTES = 4 << 20

/** A snapshot or log, and the zxid in its name. */
export interface ZxidFile {
  readonly name: string
  readonly path: string
  readonly zxid: number
}

export type FileKind = 'log' | 'snapshot'

const NAMES: Readonly<Record<FileKind, RegExp>> = {
  log: /^log\.([0-9a-f]{1,16})$/,
  snapshot: /^snapshot\.([0-9a-f]{1,16})(?:\.gz|\.snappy)?$/,
}

/** The zxid in the name of such a file; `undefined` where it is none. */
export function zxidInName(kind: FileKind, name: string): number | undefined {
  const zxid = NAMES[kind].exec(name)?.[1]
  return zxid === undefined ? undefined : Number.parseInt(zxid, 16)
}

/** Where a file waits for its removal. */
export function asidePath({ path, name }: ZxidFile): string {
  return `${path.slice(0, -name.length)}${TEMPORARY_PREFIX}removed.${name}`
}

/**
 * The names of a data folder's files: `version-2/log.<zxid>` and `version-2/snapshot.<zxid>`, in hexadecimal, and with
 * what says how a snapshot is compressed.
 */
export class DataFolder {
  readonly disk: Disk
  readonly path: string
  /** Where the snapshots are. */
  readonly versionPath: string
  /** Where the logs are; the same unless they were given a disk of their own. */
  readonly logVersionPath: string

  constructor(disk: Disk, path: string, logPath: string = path) {
    this.disk = disk
    this.path = path
    this.versionPath = `${path}/${VERSION_FOLDER}`
    this.logVersionPath = `${logPath}/${VERSION_FOLDER}`
  }

  /** Makes the folder where there is none; throws `DataFolderError` where it cannot be one of ZooKeeper's. */
  async prepare(): Promise<void> {
    const names = await this.#names(this.path)
    const stranger = names?.find(name => !KNOWN_NAMES.test(name))
    if (stranger !== undefined && names?.includes(VERSION_FOLDER) !== true) {
      throw new DataFolderError(
        `${this.path} is not a ZooKeeper data folder (it holds ${stranger}); name an empty or a new folder`,
      )
    }
    for (const folder of this.#versionPaths) {
      try {
        await this.disk.makeFolder(folder)
      } catch (error) {
        throw new DataFolderError(`cannot make the data folder ${folder}`, error)
      }
    }
  }

  /** Removes what a crash has left unfinished. Only whoever has the folder to himself may: others are writing such files. */
  async removeUnfinished(): Promise<void> {
    for (const folder of this.#versionPaths) {
      for (const name of (await this.#names(folder)) ?? []) {
        if (name.startsWith(TEMPORARY_PREFIX)) await this.disk.remove(`${folder}/${name}`)
      }
    }
  }

  get #versionPaths(): Set<string> {
    return new Set([this.versionPath, this.logVersionPath])
  }

  async #names(folder: string): Promise<readonly string[] | undefined> {
    try {
      return await this.disk.list(folder)
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined
      if (codeOf(error) === 'ENOTDIR') throw new DataFolderError(`${folder} is a file; name a folder`, error)
      throw new DataFolderError(
        `cannot read the data folder ${folder} (${codeOf(error) ?? 'unknown error'})`,
        error,
      )
    }
  }

  /** How much of it there is: nothing, the folder, or what is for its logs as well. */
  async depth(): Promise<0 | 1 | 2> {
    if ((await this.#names(this.logVersionPath)) !== undefined) return 2
    return (await this.#names(this.path)) === undefined ? 0 : 1
  }

  /** Whether as much can be written as the log may ask for next. */
  async isWritable(): Promise<boolean> {
    const path = `${this.logVersionPath}/${TEMPORARY_PREFIX}probe`
    try {
      const file = await this.disk.open(path, 'create-or-open')
      try {
        await file.write(Buffer.alloc(PROBE_BYTES), 0)
        await file.sync()
      } finally {
        await file.close()
        await this.disk.remove(path)
      }
      return true
    } catch {
      return false
    }
  }

  /** The logs, oldest first. */
  logs(): Promise<ZxidFile[]> {
    return this.#files('log', this.logVersionPath)
  }

  /** The snapshots, oldest first. */
  snapshots(): Promise<ZxidFile[]> {
    return this.#files('snapshot', this.versionPath)
  }

  async #files(kind: FileKind, folder: string): Promise<ZxidFile[]> {
    const files: ZxidFile[] = []
    for (const name of (await this.#names(folder)) ?? []) {
      const zxid = zxidInName(kind, name)
      if (zxid !== undefined) files.push({ name, path: `${folder}/${name}`, zxid })
    }
    // Of snapshots of one zxid the one that is not compressed comes last, and so is read first.
    return files.sort((a, b) => a.zxid - b.zxid || b.name.length - a.name.length)
  }

  logPath(zxid: number): string {
    return `${this.logVersionPath}/log.${zxid.toString(16)}`
  }

  snapshotPath(zxid: number, form: SnapshotForm): string {
    return `${this.versionPath}/snapshot.${zxid.toString(16)}${EXTENSIONS[form]}`
  }

  /** What a file is called until it is complete. */
  temporaryPath(path: string): string {
    const nameStart = path.lastIndexOf('/') + 1
    return `${path.slice(0, nameStart)}${TEMPORARY_PREFIX}${path.slice(nameStart)}`
  }

  /** What the next log is called until it is begun. */
  get nextLogPath(): string {
    return this.temporaryPath(`${this.logVersionPath}/log`)
  }

  /** Makes earlier creations, renames and removals of snapshots and logs durable. */
  async sync(): Promise<void> {
    for (const folder of this.#versionPaths) await this.disk.syncFolder(folder)
  }
}
