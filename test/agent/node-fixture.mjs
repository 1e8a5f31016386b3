// A node as an agent starts it, in the ways that the tests need. Arguments: what it does, and the servers.

import { agentChannel } from '@conclave/cluster'
import { ZooKeeper } from '@conclave/client'

const [behaviour, connect] = process.argv.slice(2)
const channel = agentChannel()

switch (behaviour) {
  case 'unusable':
    await channel.unusable('there is nothing to do')
    process.exit(2)
  // oxlint-disable-next-line no-fallthrough -- the process has ended
  case 'crash':
    process.exit(1)
  // oxlint-disable-next-line no-fallthrough -- the process has ended
  default: {
    const zk = await ZooKeeper.connect(connect, { sessionTimeoutMs: 30_000 })
    channel.session(zk.session)
    await zk.ensurePath('/members')
    await zk.create(`/members/${process.pid}`, null, { mode: 'ephemeral' })
    channel.role({ nodeId: `node-${process.pid}`, role: 'worker' })
    if (behaviour === 'stubborn') process.on('SIGTERM', () => {})
    else process.once('SIGTERM', () => void zk.close().then(() => process.exit(0)))
    void channel.agentGone.then(() => process.exit(0))
  }
}
