import { tlsNetwork } from '@conclave/core'
import { auth, create, OPEN_ACL, ping } from '@conclave/protocol'
import {
  eventually,
  freePort,
  RawSession,
  temporaryFolder,
  testCertificates,
  TestProcess,
} from '@conclave/testing'
import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'

const BIN = join(dirname(createRequire(import.meta.url).resolve('@conclave/server')), 'program', 'bin.cjs')

test('zoo.cfg - a process with TLS, users, pages and an audit log, as the file says', async () => {
  await using folder = temporaryFolder()
  const { authority, server } = testCertificates()
  const [securePort, adminPort] = [await freePort(), await freePort()]
  await writeFile(`${folder.path}/server.pem`, `${server.key}\n${server.cert}`)
  await writeFile(`${folder.path}/jaas.conf`, 'Server { any.DigestLoginModule required user_bob="secret"; };')
  await writeFile(
    `${folder.path}/zoo.cfg`,
    `dataDir=${folder.path}/data
clientPort=0
clientPortAddress=127.0.0.1
secureClientPort=${securePort}
ssl.keyStore.location=${folder.path}/server.pem
ssl.clientAuth=none
java.security.auth.login.config=${folder.path}/jaas.conf
enforce.auth.enabled=true
enforce.auth.schemes=sasl,digest
admin.serverPort=${adminPort}
audit.enable=true
initLimit=10
`,
    // As an administrator leaves it: to be read, not written.
    { mode: 0o400 },
  )
  const process = new TestProcess(globalThis.process.execPath, [BIN, '--config', 'zoo.cfg'], {
    cwd: folder.path,
  })
  await eventually(() => process.stdout.includes('\n') || !process.isRunning, {
    what: 'the server to listen',
  })
  const { port } = JSON.parse(process.stdout) as { port: number }
  const plain = await RawSession.connect({ host: '127.0.0.1', port })
  expect((await plain.call(ping, undefined)).errorCode).toBe(-124)
  await plain.ended
  const secured = await RawSession.connect(
    { host: '127.0.0.1', port: securePort },
    { network: tlsNetwork({ ca: authority.cert }) },
  )
  await secured.call(auth, { type: 0, scheme: 'digest', auth: Buffer.from('bob:any') })
  expect((await secured.call(create, { path: '/a', data: null, acl: OPEN_ACL, flags: 0 })).errorCode).toBe(0)
  const page = await fetch(`http://127.0.0.1:${adminPort}/commands/connections`)
  expect(await page.json()).toMatchObject({ connections: [], secure_connections: [{ packets_received: 2 }] })
  await secured.close()
  expect(await process.terminate()).toEqual({ code: 0, signal: null })
  expect(process.stderr).toContain('initLimit has no effect')
  const audit = await readFile(`${folder.path}/zookeeper_audit.log`, 'utf8')
  expect(
    audit
      .trimEnd()
      .split('\n')
      .map(line => /operation=(\w+)/.exec(line)?.[1]),
  ).toEqual(['serverStart', 'create', 'serverStop'])
})
