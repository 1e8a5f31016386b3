/** How a snapshot is written: as it is, or compressed in one of the ways that Apache ZooKeeper has since 3.6. */
export type SnapshotForm = 'none' | 'gz' | 'snappy'

/** What the names of snapshots end with. (Apache's `SnapStream.StreamMode`) */
export const EXTENSIONS: Readonly<Record<SnapshotForm, string>> = { none: '', gz: '.gz', snappy: '.snappy' }

/** The form of a snapshot by its name. */
export function formOf(name: string): SnapshotForm {
  return name.endsWith(EXTENSIONS.gz) ? 'gz' : name.endsWith(EXTENSIONS.snappy) ? 'snappy' : 'none'
}
