import { messageOf, type Endpoint } from '@conclave/core'
import { ApacheZooKeeper, EmbeddedServerProcess, RawSession } from '@conclave/testing'
import { expect, test } from 'vitest'
import { comparable, comparableEvents } from './comparison.ts'
import { RandomOperations, type RandomOperation } from './random-operations.ts'

const SESSIONS = 3
const SEED = Number(process.env['CONCLAVE_SEED'] ?? 1)
const COUNT = Number(process.env['CONCLAVE_OPERATIONS'] ?? 4_000)

async function openSessions(endpoint: Endpoint): Promise<RawSession[]> {
  const sessions: RawSession[] = []
  for (let i = 0; i < SESSIONS; i++) sessions.push(await RawSession.connect(endpoint, { timeoutMs: 40_000 }))
  return sessions
}

/** What a server makes of an operation, down to ending the connection. */
async function run(
  sessions: readonly RawSession[],
  { session, operation, request }: RandomOperation,
): Promise<string> {
  try {
    return comparable(await sessions[session]!.call(operation, request), sessions)
  } catch (error) {
    return messageOf(error)
  }
}

test(`differential - Apache ZooKeeper and the embedded server answer alike (seed ${SEED})`, async () => {
  await using apache = await ApacheZooKeeper.start()
  await using embedded = await EmbeddedServerProcess.start()
  const theirs = await openSessions(apache.endpoint)
  const ours = await openSessions(embedded.endpoint)
  const operations = new RandomOperations(SEED, SESSIONS)
  for (let i = 0; i < COUNT; i++) {
    const operation = operations.next()
    const about = `seed ${SEED}, operation ${i}: ${describe(operation)}`
    const [expected, actual] = await Promise.all([run(theirs, operation), run(ours, operation)])
    expect(actual, about).toBe(expected)
  }
  for (const [i, session] of theirs.entries()) {
    expect(comparableEvents(ours[i]!.events), `events of session ${i}`).toEqual(
      comparableEvents(session.events),
    )
  }
  for (const session of [...ours, ...theirs]) await session.close()
}, 600_000)

function describe({ session, operation, request }: RandomOperation): string {
  const text = JSON.stringify(request, (_, value: unknown) =>
    typeof value === 'bigint' ? Number(value) : value,
  )
  return `session ${session} ${operation.name} ${text}`
}
