import type { Clock, Endpoint, Network } from '@conclave/core'
import { Link } from './link.ts'
import type { HandshakeMessage } from './messages.ts'

/** A process that lives answers a connection on its own host or network long before that. */
const PROBE_TIMEOUT_MS = 1_000

/** Whether the node of that id answers at an address, as every node does, by saying who it is. */
export function isNodeAt(
  { network, clock }: { readonly network: Network; readonly clock: Clock },
  endpoint: Endpoint,
  nodeId: string,
): Promise<boolean> {
  return new Promise(resolve => {
    const finish = (answer: boolean): void => {
      timer.cancel()
      link.destroy()
      resolve(answer)
    }
    const timer = clock.setTimer(PROBE_TIMEOUT_MS, () => finish(false))
    const link = new Link(network.connect(endpoint), {
      onMessage: header => {
        const message = header as HandshakeMessage
        finish(message.type === 'challenge' && message.workerId === nodeId)
      },
      onClose: () => finish(false),
    })
    link.start()
  })
}
