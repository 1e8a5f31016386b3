// The server of a soak, in a process of its own: it says where it listens, what its memory holds, and ends sessions on
// command. To be forked with `--expose-gc`; its argument is the data folder.
import { EmbeddedServer } from '@conclave/server'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Answer, Question } from './soaked-server.ts'

const server = await EmbeddedServer.start({
  dataDir: process.argv[2]!,
  port: 0,
  // Sessions may last 0.4 seconds, and everything that is done now and then is done often.
  tickTimeMs: 200,
  snapCount: 2_000,
  preAllocBytes: 1 << 20,
  containerCheckIntervalMs: 1_000,
  enforceQuota: true,
  sasl: { users: { soak: 'secret' } },
  admin: { port: 0 },
  audit: () => {},
})

function send(answer: Answer): void {
  process.send!(answer)
}

/** Twice, because what the first finalizes the second frees; and memory goes back to the system by and by. */
async function collect(): Promise<void> {
  for (let i = 0; i < 2; i++) {
    globalThis.gc!()
    await sleep(250)
  }
}

async function answer(question: Question): Promise<Answer> {
  if (question.kind === 'expire') {
    return { kind: 'expired', wasThere: server.expireSession(BigInt(question.sessionId)) }
  }
  await collect()
  const { heapUsed, external } = process.memoryUsage()
  return { kind: 'memory', heapBytes: heapUsed, externalBytes: external }
}

let answered = Promise.resolve()
process.on('message', (question: Question) => {
  answered = answered.then(() => answer(question)).then(send)
})
process.once('disconnect', () => void server.close())
send({ kind: 'listening', endpoint: server.endpoint, adminEndpoint: server.adminEndpoint! })
