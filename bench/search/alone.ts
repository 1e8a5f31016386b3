// The search's tokenising without a cluster: runs the batches that it is sent, one after the other.
import type { SearchTasks } from './corpus.js'

const tasks = (await import(process.argv[2]!)) as SearchTasks

process.on('message', (batches: unknown[]) => {
  void (async () => {
    for (const batch of batches) await tasks.countTerms(batch)
    process.send!('done')
  })()
})
process.send!('ready')
