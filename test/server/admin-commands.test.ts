import { create, exists, OPEN_ACL } from '@conclave/protocol'
import { EmbeddedServer } from '@conclave/server'
import { ApacheZooKeeper, freePort, fourLetterWord, RawSession, temporaryFolder } from '@conclave/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Endpoint } from '@conclave/core'

/** Fields of Apache's answers that say something about Java, or about buffers that the embedded server does not have. */
const NOT_HERE: ReadonlySet<string> = new Set([
  'client_response',
  'client_response_stats',
  'provider_null',
  'non_mtlsremote_conn_count',
  'non_mtlslocal_conn_count',
  'interest_ops',
  'timestamp',
])

const COMMANDS = [
  ...[
    'configuration',
    'conf',
    'connections',
    'dirs',
    'dump',
    'hash',
    'get_trace_mask',
    'is_read_only',
    'last_snapshot',
  ],
  ...[
    'leader',
    'observers',
    'ruok',
    'server_stats',
    'srvr',
    'stats',
    'stat_reset',
    'voting_view',
    'watch_summary',
  ],
  ...['watches', 'watches_by_path', 'zabstate', 'connection_stat_reset', 'nosuch'],
]

interface Side {
  readonly endpoint: Endpoint
  readonly adminPort: number
}

const folder = temporaryFolder()
const cleanUps: (() => Promise<void>)[] = []
let apache: Side
let embedded: Side

beforeAll(async () => {
  const adminPort = await freePort()
  const settings = {
    'admin.enableServer': 'true',
    'admin.serverPort': adminPort,
    'admin.serverAddress': '127.0.0.1',
  }
  const theirs = await ApacheZooKeeper.start({ settings })
  const ours = await EmbeddedServer.start({ dataDir: folder.path, port: 0, admin: { port: 0 } })
  cleanUps.push(
    () => theirs.close(),
    () => ours.close(),
  )
  apache = { endpoint: theirs.endpoint, adminPort }
  embedded = { endpoint: ours.endpoint, adminPort: ours.adminEndpoint!.port }
  for (const { endpoint } of [apache, embedded]) {
    const session = await RawSession.connect(endpoint)
    cleanUps.unshift(() => session.close())
    await session.call(create, { path: '/e', data: Buffer.from('x'), acl: OPEN_ACL, flags: 1 })
    await session.call(exists, { path: '/e', watch: true })
  }
}, 90_000)

afterAll(async () => {
  for (const cleanUp of cleanUps) await cleanUp()
  await folder.remove()
})

async function ask({ adminPort }: Side, name: string): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${adminPort}/commands/${name}`)
  return response.json()
}

/** With Apache's server, a tick that a session has left by a request stays in the list, empty, until it is over. */
function isLeftTick(name: string, field: unknown): boolean {
  return isNumber(name) && Array.isArray(field) && field.length === 0
}

function isNumber(name: string): boolean {
  return /^-?\d+$/.test(name)
}

/** Names and kinds of the fields; keys that are ids or times are only counted. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf)
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value
  return Object.entries(value)
    .filter(([name, field]) => !NOT_HERE.has(name) && !isLeftTick(name, field))
    .map(([name, field]) => [isNumber(name) ? 'number' : name, shapeOf(field)])
    .sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1))
}

test.each(COMMANDS)('admin commands - %s has the fields of Apache ZooKeeper', async name => {
  const [theirs, ours] = [await ask(apache, name), await ask(embedded, name)]
  const more = name.startsWith('conf') ? [['secure_client_port', 'number']] : []
  expect(shapeOf(ours)).toEqual([...(shapeOf(theirs) as unknown[][]), ...more].sort(byName))
})

function byName(a: unknown[], b: unknown[]): number {
  return String(a[0]) < String(b[0]) ? -1 : 1
}

test('admin commands - each figure of mntr has a name that Apache ZooKeeper has, but one', async () => {
  const namesIn = (text: string): string[] => [...text.matchAll(/^zk_(\w+)\t/gm)].map(([, name]) => name!)
  const theirs = new Set(namesIn(await fourLetterWord(apache.endpoint, 'mntr')))
  const ours = namesIn(await fourLetterWord(embedded.endpoint, 'mntr'))
  // Of Apache's server the page `server_stats` alone tells it.
  expect(ours.filter(name => !theirs.has(name))).toEqual(['fsync_threshold_exceed_count'])
})
