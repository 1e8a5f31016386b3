import { UsageError } from '@conclave/core'
import { pathProblem } from '@conclave/protocol'

const SEGMENT_DIGITS = 10

/**
 * Where a cluster keeps what in ZooKeeper:
 *
 *     /conclave/<cluster>/election            candidates: the lowest leads
 *                        /workers             the registry of the workers
 *                        /agents              one ephemeral per host agent
 *                        /secret              what a process must know to be let into a link
 *                        /jobs/<id>           the job's record
 *                        /jobs/<id>/inputs/N  input segments; N is the index of the first task in it
 *                        /jobs/<id>/results/N result segments, numbered without a gap from 0
 *                        /jobs/<id>/begun     tasks that a leader has begun in its own process
 *                        /jobs/<id>/submitter ephemeral, while the inputs are being written
 */
export class ClusterLayout {
  readonly root: string
  readonly election: string
  readonly agents: string
  readonly secret: string
  readonly jobs: string

  /** Throws `UsageError` for a name that cannot be part of a path. */
  constructor(cluster: string) {
    const problem = cluster.includes('/') ? 'it must not contain /' : pathProblem(`/conclave/${cluster}`)
    if (problem !== undefined)
      throw new UsageError(`'${cluster}' cannot be the name of a cluster: ${problem}`)
    this.root = `/conclave/${cluster}`
    this.election = `${this.root}/election`
    this.agents = `${this.root}/agents`
    this.secret = `${this.root}/secret`
    this.jobs = `${this.root}/jobs`
  }

  job(jobId: string): string {
    return `${this.jobs}/${jobId}`
  }

  inputs(jobId: string): string {
    return `${this.jobs}/${jobId}/inputs`
  }

  results(jobId: string): string {
    return `${this.jobs}/${jobId}/results`
  }

  begun(jobId: string): string {
    return `${this.jobs}/${jobId}/begun`
  }

  submitter(jobId: string): string {
    return `${this.jobs}/${jobId}/submitter`
  }

  /** `firstIndex` is the index of the first task in the segment. */
  inputSegment(jobId: string, firstIndex: number): string {
    return `${this.inputs(jobId)}/${String(firstIndex).padStart(SEGMENT_DIGITS, '0')}`
  }

  resultSegment(jobId: string, number: number): string {
    return `${this.results(jobId)}/${String(number).padStart(SEGMENT_DIGITS, '0')}`
  }
}

/** The service name of the workers: the registry's folder for it lies beside the others, in the cluster's root. */
export const WORKERS_SERVICE = 'workers'
