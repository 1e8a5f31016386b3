import { create, OPEN_ACL, exists } from '@conclave/protocol'
import { fourLetterWord, RawSession } from '@conclave/testing'
import { createServer, type AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { startServer, type TestServer } from '../support/embedded.ts'

const ADMIN = { admin: { port: 0 } }

async function get({ server }: TestServer, path: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${server.adminEndpoint!.port}${path}`)
  expect(response.status).toBe(200)
  return response.text()
}

async function command(running: TestServer, name: string): Promise<Record<string, unknown>> {
  return JSON.parse(await get(running, `/commands/${name}`)) as Record<string, unknown>
}

test('admin pages - every command in the list answers with its name', async () => {
  await using running = await startServer(ADMIN)
  const list = await get(running, '/commands')
  const names = [...list.matchAll(/href="\/commands\/(\w+)"/g)].map(([, name]) => name!)
  expect(names).toContain('monitor')
  const errors: Readonly<Record<string, string>> = {
    leader: 'server is not initialized',
    set_trace_mask: 'setTraceMask requires long traceMask argument',
  }
  for (const name of names) {
    if (name === 'snapshot' || name === 'restore') continue
    expect(await command(running, name)).toMatchObject({ command: name, error: errors[name] ?? null })
  }
})

test('admin pages - the trace mask is what it was set to, if that is a number', async () => {
  await using running = await startServer(ADMIN)
  expect(await command(running, 'set_trace_mask?traceMask=-258')).toMatchObject({
    tracemask: -258,
    error: null,
  })
  for (const wrong of ['9223372036854775808', 'all', '']) {
    expect(await command(running, `stmk?traceMask=${wrong}`)).toMatchObject({
      error: `setTraceMask requires long traceMask argument, got ${wrong}`,
    })
  }
  expect(await command(running, 'gtmk')).toMatchObject({ tracemask: -258 })
})

test('admin pages - sessions, ephemeral znodes and watches, with ids as whole numbers', async () => {
  await using running = await startServer(ADMIN)
  await using session = await RawSession.connect(running.server.endpoint)
  await session.call(create, { path: '/e', data: null, acl: OPEN_ACL, flags: 1 })
  await session.call(exists, { path: '/e', watch: true })
  const id = String(session.sessionId)
  expect(await get(running, '/commands/connections')).toContain(`"session_id": ${id},`)
  expect(await command(running, 'dump')).toMatchObject({ session_id_to_ephemeral_paths: { [id]: ['/e'] } })
  expect(await command(running, 'watches')).toMatchObject({ session_id_to_watched_paths: { [id]: ['/e'] } })
  expect(await get(running, '/commands/watches_by_path')).toMatch(new RegExp(`"/e": \\[\\s+${id}\\s+\\]`))
  expect(await command(running, 'watch_summary')).toMatchObject({
    num_connections: 1,
    num_paths: 1,
    num_total_watches: 1,
  })
})

test('admin pages - the statistics count, and can begin anew', async () => {
  await using running = await startServer(ADMIN)
  await using session = await RawSession.connect(running.server.endpoint)
  await session.call(create, { path: '/a', data: null, acl: OPEN_ACL, flags: 0 })
  expect(await command(running, 'srvr')).toMatchObject({
    node_count: 6,
    server_stats: { packets_received: 1, last_processed_zxid: 2, num_alive_client_connections: 1 },
  })
  await command(running, 'stat_reset')
  expect(await command(running, 'srvr')).toMatchObject({ server_stats: { packets_received: 0 } })
})

test('admin pages - what is no command, no page or no reading', async () => {
  await using running = await startServer(ADMIN)
  expect(await command(running, 'nosuch')).toEqual({ command: 'nosuch', error: 'Unknown command: nosuch' })
  const base = `http://127.0.0.1:${running.server.adminEndpoint!.port}`
  expect((await fetch(`${base}/elsewhere`)).status).toBe(404)
  expect((await fetch(`${base}/commands/ruok`, { method: 'POST' })).status).toBe(405)
  const head = await fetch(`${base}/commands/ruok`, { method: 'HEAD' })
  expect([head.status, await head.text()]).toEqual([200, ''])
})

test('admin pages - none without being asked for, and their own path where it is given', async () => {
  await using without = await startServer()
  expect(without.server.adminEndpoint).toBeUndefined()
  await using running = await startServer({ admin: { port: 0, commandPath: '/zk' } })
  expect(await get(running, '/zk/ruok')).toContain('"command": "ruok"')
})

test('admin pages - a port that is taken is an error that names it, and leaves nothing behind', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => other.once('listening', resolve))
  const { port } = other.address() as AddressInfo
  await expect(startServer({ admin: { port } })).rejects.toMatchObject({
    code: 'LISTEN',
    message: expect.stringContaining(`127.0.0.1:${port}`) as string,
  })
  await new Promise(resolve => other.close(resolve))
})

test('metrics - Prometheus can read them, under the names of mntr', async () => {
  await using running = await startServer({ ...ADMIN, metrics: { port: 0 } })
  await using session = await RawSession.connect(running.server.endpoint)
  await session.call(create, { path: '/a', data: null, acl: OPEN_ACL, flags: 0 })
  const response = await fetch(`http://127.0.0.1:${running.server.metricsEndpoint!.port}/metrics`)
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  const page = await response.text()
  for (const line of page.trimEnd().split('\n')) {
    expect(line).toMatch(/^(# TYPE [a-z_]+ (gauge|counter|summary)|[a-z_]+ -?[\d.]+(e[+-]?\d+)?)$/)
  }
  expect(page).toContain('# TYPE znode_count gauge\nznode_count 6\n')
  expect(page).toMatch(/^fsynctime_count [1-9]/m)
  expect(await get(running, '/metrics')).toContain('# TYPE znode_count gauge\n')
  const elsewhere = `http://127.0.0.1:${running.server.metricsEndpoint!.port}/commands/ruok`
  expect((await fetch(elsewhere)).status).toBe(404)
  const words = await fourLetterWord(running.server.endpoint, 'mntr')
  const names = [...page.matchAll(/^# TYPE (\w+) (?:gauge|counter)$/gm)].map(([, name]) => name!)
  for (const name of names.filter(name => !name.startsWith('process_'))) {
    expect(words).toContain(`zk_${name}\t`)
  }
})
