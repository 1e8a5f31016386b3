import { codeOf } from '@conclave/core'
import { fourLetterWord } from '@conclave/testing'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { residentBytes } from '../server/process-figures.ts'
import type { SoakedServer } from './soaked-server.ts'

const MEGABYTE = 2 ** 20

/**
 * What is judged, and by how much of it an hour may grow. The samples are taken while nobody is there, and what is alive is
 * the same each time; so the bounds are what the compiler, the collector and the allocator leave in noise after a quarter
 * of an hour. A hundred bytes forgotten at each visit would be several times the one for the heap.
 */
export const BOUNDS = {
  'resident MB': 30,
  'heap MB': 8,
  'external MB': 8,
  // One file more or less is open, as the log has just begun a new one or not.
  descriptors: 15,
  sessions: 5,
  watches: 5,
  'outboxes waiting': 5,
  znodes: 5,
  'disk MB': 100,
} as const

export type FigureName = keyof typeof BOUNDS

/** All of them at one time. */
export type Sample = Readonly<Record<FigureName, number>> & { readonly atMs: number }

/** Asks the server, the system and the disk. */
export async function takeSample(server: SoakedServer, dataDir: string): Promise<Sample> {
  const { heapBytes, externalBytes } = await server.memory()
  const told = await monitored(server)
  return {
    atMs: performance.now(),
    'resident MB': residentBytes(server.pid) / MEGABYTE,
    'heap MB': heapBytes / MEGABYTE,
    'external MB': externalBytes / MEGABYTE,
    descriptors: (await readdir(`/proc/${server.pid}/fd`)).length,
    sessions: told('global_sessions'),
    watches: told('watch_count'),
    'outboxes waiting': told('outstanding_requests'),
    znodes: told('znode_count'),
    'disk MB': (await bytesBelow(dataDir)) / MEGABYTE,
  }
}

/** What `mntr` says, by name. */
export async function monitored({ endpoint }: SoakedServer): Promise<(name: string) => number> {
  const text = await fourLetterWord(endpoint, 'mntr', 60_000)
  const values = new Map(text.split('\n').map(line => line.split('\t') as [string, string]))
  return name => Number(values.get(`zk_${name}`))
}

/** What the files take; one that has just gone takes nothing. */
async function bytesBelow(folder: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) bytes += await bytesBelow(path)
    else bytes += await sizeOf(path)
  }
  return bytes
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    return 0
  }
}
