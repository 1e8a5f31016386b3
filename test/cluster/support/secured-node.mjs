// A node as an agent starts it, on servers that want to know who it is. Arguments: the servers, and the proof as JSON.

import { agentChannel } from '@conclave/cluster'
import { ZooKeeper } from '@conclave/client'

const [connect, proof] = process.argv.slice(2)
const channel = agentChannel()
const zk = await ZooKeeper.connect(connect, { sessionTimeoutMs: 30_000, ...JSON.parse(proof) })
channel.session(zk.session)
await zk.create(`/member-${process.pid}`, null, { mode: 'ephemeral' })
process.once('SIGTERM', () => void zk.close().then(() => process.exit(0)))
void channel.agentGone.then(() => process.exit(0))
channel.role({ nodeId: `node-${process.pid}`, role: 'worker' })
