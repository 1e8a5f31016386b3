import type { ZooKeeper } from '@conclave/client'
import type { Stat } from '@conclave/protocol'
import type { LoadedJob } from '../leader/leader-events.ts'
import type { ClusterLayout } from '../layout.ts'
import { CorruptJobError, type JobRecord } from './job-record.ts'
import { decodeBegun, peekResult, splitLines } from './segment.ts'

/** How many segments are read at a time: enough to fill the pipe, few enough to bound what is in memory twice. */
const READS_IN_FLIGHT = 16

/** Reads all of a submitted job: its inputs, and which results are recorded. Throws `NoNodeError` where it is gone, and
 * `CorruptJobError` or `CorruptSegmentError` for what is no whole job.
 */
export async function loadJob(
  zk: ZooKeeper,
  layout: ClusterLayout,
  jobId: string,
  { record, stat }: { readonly record: JobRecord; readonly stat: Stat },
): Promise<LoadedJob> {
  const inputs: string[] = []
  for await (const { data } of readSegments(zk, layout.inputs(jobId))) {
    for (const line of splitLines(data)) inputs.push(line)
  }
  const recorded: LoadedJob['recorded'][number][] = []
  let segments = 0
  let resultBytes = 0
  for await (const { path, data } of readSegments(zk, layout.results(jobId))) {
    segments++
    resultBytes += data?.length ?? 0
    for (const line of splitLines(data)) recorded.push(peekResult(line, path))
  }
  checkWhole(layout.job(jobId), record, inputs, recorded)
  return {
    jobId,
    order: stat.czxid,
    task: record.task,
    maxAttempts: record.maxAttempts,
    inputs,
    recorded,
    begun: decodeBegun((await zk.getData(layout.begun(jobId))).data),
    nextSegment: segments,
    resultBytes,
  }
}

/** What other programs, or a removal that was cut short, have left of a job must not be worked on. */
function checkWhole(
  path: string,
  { taskCount }: JobRecord,
  inputs: readonly string[],
  recorded: LoadedJob['recorded'],
): void {
  if (inputs.length !== taskCount) {
    throw new CorruptJobError(path, `it has ${inputs.length} of its ${taskCount} inputs`)
  }
  const seen = new Uint8Array(taskCount)
  for (const { index } of recorded) {
    if (index >= taskCount || seen[index] === 1)
      throw new CorruptJobError(path, `result ${index} is there twice or too much`)
    seen[index] = 1
  }
}

/** The segments of a folder in order, several reads in flight. */
async function* readSegments(
  zk: ZooKeeper,
  folder: string,
): AsyncGenerator<{ path: string; data: Buffer | null }> {
  const { children } = await zk.getChildren(folder)
  const paths = [...children].sort().map(name => `${folder}/${name}`)
  for (let at = 0; at < paths.length; at += READS_IN_FLIGHT) {
    const batch = paths.slice(at, at + READS_IN_FLIGHT)
    const reads = await Promise.all(batch.map(path => zk.getData(path)))
    for (const [i, { data }] of reads.entries()) yield { path: batch[i]!, data }
  }
}
