// One node of the benchmark's cluster: the connect string is its argument.
import { joinCluster } from '@conclave/cluster'

await joinCluster({
  connect: process.argv[2]!,
  cluster: 'bench',
  tasks: new URL('./tasks.js', import.meta.url),
  slots: 1,
})
