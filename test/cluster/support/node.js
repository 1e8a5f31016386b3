// A node of the chaos test: its arguments are the connect string and the cluster's name.
import { agentChannel, joinCluster } from '@conclave/cluster'

const [connect, cluster] = process.argv.slice(2)
const node = await joinCluster({ connect, cluster, tasks: new URL('./tasks.js', import.meta.url), slots: 1 })
process.on('SIGTERM', () => void node.close().then(() => process.exit()))
void agentChannel()?.agentGone.then(() => process.exit())
