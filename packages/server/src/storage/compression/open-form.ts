import type { DiskFile } from '@conclave/core'
import type { SnapshotForm } from './snapshot-form.ts'
import { FileSink, type SnapshotSink } from './snapshot-sink.ts'
import { FileSource, UncompressedSource, type ReadableFile, type SnapshotSource } from './snapshot-source.ts'

// What compresses is loaded only now: a server that does not is ready sooner.

/** Writes a snapshot of that form to an empty file. */
export async function openSink(file: DiskFile, form: SnapshotForm): Promise<SnapshotSink> {
  const plain = new FileSink(file)
  switch (form) {
    case 'none':
      return plain
    case 'gz':
      return new (await import('./gzip-sink.ts')).GzipSink(plain)
    case 'snappy':
      return new (await import('./snappy-sink.ts')).SnappySink(plain)
  }
}

/** Reads a snapshot of that form. */
export async function openSource(file: ReadableFile, form: SnapshotForm): Promise<SnapshotSource> {
  switch (form) {
    case 'none':
      return new FileSource(file)
    case 'gz':
      return new UncompressedSource((await import('./gunzip.ts')).gunzip(file))
    case 'snappy':
      return new UncompressedSource((await import('./unsnap.ts')).unsnap(file))
  }
}
