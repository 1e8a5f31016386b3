// A node as an agent starts it, in the ways that the tests need. Arguments: what it does, and the servers.

import { agentChannel } from '@conclave/cluster'
import { ZooKeeper } from '@conclave/client'

const [behaviour, connect] = process.argv.slice(2)
const channel = agentChannel()

if (behaviour === 'crash') process.exit(1)
if (behaviour === 'unusable') {
  await channel.unusable('there is nothing to do')
  process.exit(2)
}

const zk = await ZooKeeper.connect(connect, { sessionTimeoutMs: 30_000 })
channel.session(zk.session)
await zk.ensurePath('/members')
await zk.create(`/members/${process.pid}`, null, { mode: 'ephemeral' })
if (behaviour === 'stubborn') process.on('SIGTERM', () => {})
else process.once('SIGTERM', () => void zk.close().then(() => process.exit(0)))
void channel.agentGone.then(() => process.exit(0))
// The last thing: with its role the node says that all of the above is in place.
channel.role({ nodeId: `node-${process.pid}`, role: 'worker' })
