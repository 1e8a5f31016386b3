import { readDataDir, readServerOptions } from '@conclave/server'
import { temporaryFolder, testCertificates } from '@conclave/testing'
import { readFile, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'

test('command line - wins over the configuration, which wins over nothing', async () => {
  await using folder = temporaryFolder()
  const config = `${folder.path}/zoo.cfg`
  await writeFile(config, 'dataDir=/configured\nclientPort=2182\ntickTime=500\ninitLimit=5')
  const { options, warnings } = await readServerOptions({
    config,
    host: undefined,
    port: 0,
    dataDir: '/said',
  })
  expect(options).toMatchObject({ dataDir: '/said', port: 0, tickTimeMs: 500 })
  expect(options).not.toHaveProperty('host')
  expect(warnings).toEqual([expect.stringContaining('initLimit has no effect')])
  expect((await readServerOptions({ config })).options).toMatchObject({ dataDir: '/configured', port: 2182 })
  expect(await readServerOptions({ dataDir: '/said' })).toEqual({
    options: { dataDir: '/said' },
    warnings: [],
  })
})

test('command line - whoever names a port gets a plain one, beside the one with TLS', async () => {
  await using folder = temporaryFolder()
  const { key, cert } = testCertificates().server
  await writeFile(`${folder.path}/server.pem`, key + cert)
  const config = `${folder.path}/zoo.cfg`
  await writeFile(
    config,
    `dataDir=/data\nsecureClientPort=2281\nssl.keyStore.location=${folder.path}/server.pem`,
  )
  expect((await readServerOptions({ config })).options.secure).toMatchObject({ port: 2281, only: true })
  const { options } = await readServerOptions({ config, port: 2181 })
  expect(options).toMatchObject({ port: 2181, secure: { port: 2281, only: false } })
})

test('command line - the audit log is opened where the configuration, or the command line, wants one', async () => {
  await using folder = temporaryFolder()
  const auditLog = `${folder.path}/audit.log`
  const { options } = await readServerOptions({ dataDir: '/data', auditLog })
  options.audit?.({ user: 'bob', operation: 'serverStart', result: 'success' })
  expect(await readFile(auditLog, 'utf8')).toContain('user=bob')
  await expect(readServerOptions({ dataDir: '/data', auditLog: folder.path })).rejects.toThrow(
    /cannot write the audit log .* \(EISDIR\)/,
  )
})

test.each([
  ['dataDir=/d\nminSessionTimeout=9000\nmaxSessionTimeout=1', /must not be more than/],
  ['dataDir=/d\nclientPort=65536', /port must be from 0 to 65535/],
  ['clientPort=2181', /names no dataDir/],
])('command line - with the configuration %j it is refused', async (text, message) => {
  await using folder = temporaryFolder()
  const config = `${folder.path}/zoo.cfg`
  await writeFile(config, text)
  const refused = readServerOptions({ config })
  await expect(refused).rejects.toMatchObject({ code: 'USAGE' })
  await expect(refused).rejects.toThrow(message)
})

test('command line - the data folder may be named by it alone', async () => {
  await using folder = temporaryFolder()
  const config = `${folder.path}/zoo.cfg`
  await writeFile(config, 'clientPort=2181')
  const { options } = await readServerOptions({ config, dataDir: '/data' })
  expect(options).toMatchObject({ dataDir: '/data', port: 2181 })
})

test('data folder - is found in a configuration that is wrong otherwise', async () => {
  await using folder = temporaryFolder()
  const config = `${folder.path}/zoo.cfg`
  await writeFile(config, 'dataDir = ./data\nclientPort=many\nserver.1=a:1:2')
  expect(readDataDir(config)).toBe('./data')
  await writeFile(config, 'clientPort=2181')
  expect(() => readDataDir(config)).toThrow(`the configuration ${config} names no dataDir`)
  expect(() => readDataDir(`${config}.none`)).toThrow(`cannot read the configuration ${config}.none (ENOENT)`)
})
