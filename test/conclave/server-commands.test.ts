import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ZooKeeper } from '@conclave/client'
import { isStillRunning, ownIdentity } from '@conclave/core'
import {
  EmbeddedServerProcess,
  eventually,
  freePort,
  killAtExit,
  TemporaryFolder,
  testCertificates,
  TestProcess,
  type ProcessEnd,
} from '@conclave/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const program = fileURLToPath(new URL('../../packages/conclave/dist/bin.js', import.meta.url))

const umbrella = new URL('../../packages/conclave/dist/index.js', import.meta.url).href

/** A server that is given this never listens, and lives on. */
const NEVER_LISTENS = `
  require('node:net').Server.prototype.listen = function () {
    setInterval(() => {}, 1e6)
    return this
  }`

let folder: TemporaryFolder
const path = (name: string): string => join(folder.path, name)
const read = (name: string): string => readFileSync(path(name), 'utf8')

beforeEach(() => {
  folder = new TemporaryFolder()
})
afterEach(async () => {
  for (const { pid, forget } of started.splice(0)) {
    if (isAlive(pid)) process.kill(pid, 'SIGKILL')
    await eventually(() => !isAlive(pid), { what: 'the end of the server' })
    forget()
  }
  await folder.remove()
})

/** What commands have left running behind them. */
const started: { readonly pid: number; readonly forget: () => void }[] = []

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs `conclave server` to its end; the server that it may have started dies with the test. */
function server(...args: string[]): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, 'server', ...args], {
    cwd: folder.path,
    encoding: 'utf8',
  })
  const pid = /^Started process (\d+)/m.exec(stderr)?.[1]
  if (pid !== undefined) started.push({ pid: Number(pid), forget: killAtExit(Number(pid)) })
  return { code: status, stdout, stderr }
}

interface Status {
  readonly state: string
  readonly pid: number
  readonly host: string
  readonly port: number
}

function statusOf(...args: string[]): Status {
  return JSON.parse(server('status', '--json', ...args).stdout) as Status
}

function connect(dataDir: string): Promise<ZooKeeper> {
  const { host, port } = statusOf('-d', dataDir)
  return ZooKeeper.connect(`${host}:${port}`)
}

/** One that nobody has waited for yet lives no more. */
function isAlive(pid: number): boolean {
  return isStillRunning({ pid })
}

/** It failed with this exit code, and one sentence. */
function expectFailure({ code, stdout, stderr }: Ended, expected: number, sentence: RegExp): void {
  expect({ code, stdout, lines: stderr.trimEnd().split('\n').length }).toEqual({
    code: expected,
    stdout: '',
    lines: 1,
  })
  expect(stderr).toMatch(sentence)
}

describe('conclave server - start, stop, status', () => {
  test('a life - started once, asked, stopped once', async () => {
    const start = server('start', '-d', 'data', '-p', '0')
    expect(start).toMatchObject({ code: 0, stdout: '' })
    const { pid, port } = statusOf('-d', 'data')
    expect(start.stderr).toBe(
      `Started process ${pid}, which listens on 127.0.0.1:${port}.\n` +
        `Its data is in ${path('data')}, its log in ${path('data/conclave-server.log')}.\n`,
    )
    const zk = await ZooKeeper.connect(`127.0.0.1:${port}`)
    await zk.create('/a', 'kept')

    const second = server('start', '-d', 'data', '-p', '0')
    const runs = `a server already runs on ${path('data')}: process ${pid}, at 127.0.0.1:${port}`
    expect(second).toEqual({ code: 1, stdout: '', stderr: `conclave: ${runs}\n` })

    const status = server('status', '-d', 'data')
    expect(status).toMatchObject({ code: 0, stderr: '' })
    expect(status.stdout.replace(/^Uptime: .* s$/m, 'Uptime: ...').split('\n')).toEqual([
      'Server: running',
      `Process: ${pid}`,
      `Address: 127.0.0.1:${port}`,
      'Uptime: ...',
      'Mode: standalone',
      'Sessions: 1',
      'Node count: 6',
      'Zxid: 0x2',
      `Data: ${path('data')}`,
      '',
    ])
    expect(statusOf('-d', 'data')).toEqual({
      state: 'running',
      dataDir: path('data'),
      pid,
      host: '127.0.0.1',
      port,
      startedAt: expect.stringMatching(/^\d{4}-.*Z$/) as string,
      uptimeMs: expect.any(Number) as number,
      mode: 'standalone',
      sessions: 1,
      znodes: 6,
      zxid: '0x2',
    })
    await zk.close()

    const stop = server('stop', '-d', 'data')
    expect(stop).toMatchObject({ code: 0, stderr: `Stopped process ${pid}, which served ${path('data')}.\n` })
    expect(isAlive(pid)).toBe(false)
    expect(existsSync(path('data/conclave-server.json'))).toBe(false)
    const again = server('stop', '-d', 'data')
    expect(again).toEqual({ code: 0, stdout: '', stderr: `No server runs on ${path('data')}.\n` })
    expectFailure(server('status', '-d', 'data'), 1, /no server runs on .*data$/m)
    const json = server('status', '--json', '-d', 'data')
    expect(json).toMatchObject({ code: 1, stderr: '' })
    expect(JSON.parse(json.stdout)).toEqual({ state: 'stopped', dataDir: path('data') })
  })

  test('two at one time - one starts, the other says so', async () => {
    const args = [program, 'server', 'start', '-d', 'data', '-p', '0']
    const two = [1, 2].map(() => new TestProcess(process.execPath, args, { cwd: folder.path }))
    const codes = (await Promise.all(two.map(({ ended }) => ended))).map(({ code }) => code)
    const { pid } = statusOf('-d', 'data')
    started.push({ pid, forget: killAtExit(pid) })
    expect(new Set(codes)).toEqual(new Set([0, 1]))
    const loser = two.find(({ stderr }) => stderr.startsWith('conclave: '))
    expect(loser?.stderr).toMatch(new RegExp(`^conclave: a server already runs on .*data: process ${pid}, `))
  })

  test('kill -9 - it is seen to be gone, and neither its address nor its lock is in the way', async () => {
    server('start', '-d', 'data', '-p', '0')
    const { pid, port } = statusOf('-d', 'data')
    const zk = await connect('data')
    await zk.create('/a')
    await zk.detach()
    process.kill(pid, 'SIGKILL')
    await eventually(() => !isAlive(pid))
    expectFailure(server('status', '-d', 'data'), 1, /no server runs on/)
    expect(server('stop', '-d', 'data')).toMatchObject({ code: 0 })
    expect(server('start', '-d', 'data', '-p', String(port))).toMatchObject({ code: 0 })
    const next = await connect('data')
    expect(await next.exists('/a')).not.toBeNull()
    await next.close()
  })

  test('an address of the past - a process that has the id now is left alone', () => {
    mkdirSync(path('data'))
    const record = { ...ownIdentity(), host: '127.0.0.1', port: 1, incarnation: 'before the power failure/1' }
    writeFileSync(path('data/conclave-server.json'), JSON.stringify(record))
    expect(server('stop', '-d', 'data')).toMatchObject({ code: 0 })
    expectFailure(server('status', '-d', 'data'), 1, /no server runs on/)
    writeFileSync(path('data/conclave-server.json'), '\0\0\0\0')
    expect(server('stop', '-d', 'data')).toMatchObject({ code: 0 })
    expect(server('start', '-d', 'data', '-p', '0')).toMatchObject({ code: 0 })
  })

  test('a server that hangs - its process is told, and that it does not answer', () => {
    server('start', '-d', 'data', '-p', '0')
    const { pid, port } = statusOf('-d', 'data')
    process.kill(pid, 'SIGSTOP')
    const status = server('status', '-d', 'data')
    expect(status).toMatchObject({ code: 1, stderr: '' })
    expect(status.stdout).toContain(
      `Server: its process lives, but does not answer\nProcess: ${pid}\nAddress: 127.0.0.1:${port}\n`,
    )
    process.kill(pid, 'SIGCONT')
    expect(statusOf('-d', 'data')).toMatchObject({ state: 'running' })
  })

  test('foreground - stop ends it, whatever started it', async () => {
    for (const args of [['server'], ['server', 'start-foreground']]) {
      const foreground = new TestProcess(process.execPath, [program, ...args, '-d', 'data', '-p', '0'], {
        cwd: folder.path,
      })
      await eventually(() => foreground.stderr.includes('Ctrl-C ends it'))
      expect(statusOf('-d', 'data')).toMatchObject({ state: 'running', pid: foreground.pid })
      expect(server('stop', '-d', 'data').code).toBe(0)
      expect(await foreground.ended).toEqual({ code: 0, signal: null })
    }
    await using library = await EmbeddedServerProcess.start()
    expect(server('stop', '-d', library.dataDir).code).toBe(0)
    expect(await library.process.ended).toEqual({ code: 0, signal: null })
  })
})

describe('conclave server - while it starts', () => {
  function startHanging(): TestProcess {
    writeFileSync(path('never-listens.cjs'), NEVER_LISTENS)
    return new TestProcess(process.execPath, [program, 'server', 'start', '-d', 'data'], {
      cwd: folder.path,
      env: { NODE_OPTIONS: `--require ${path('never-listens.cjs')}` },
    })
  }

  /** The process that has the folder, and does not listen. */
  async function starting(): Promise<number> {
    return eventually(() => {
      const { state, pid } = statusOf('-d', 'data')
      return state === 'notListening' && pid
    })
  }

  test('Ctrl-C - ends what was started, too', async () => {
    const start = startHanging()
    const pid = await starting()
    start.signal('SIGINT')
    expect(await start.ended).toEqual({ code: 130, signal: null })
    expect(isAlive(pid)).toBe(false)
    expect(start.stderr).not.toMatch(/Error|conclave:/)
  })

  test('status, start and stop - know of it', async () => {
    const start = startHanging()
    const pid = await starting()
    const status = server('status', '-d', 'data')
    expect(status.code).toBe(1)
    expect(status.stdout).toMatch(/^Server: its process lives, but does not listen/)
    const second = server('start', '-d', 'data', '-p', '0')
    expectFailure(second, 1, new RegExp(`already runs on .*: process ${pid}, which does not listen`))
    expectFailure(server('restart', '-d', 'data'), 2, /it is not known how the server/)
    expect(server('stop', '-d', 'data').code).toBe(0)
    expect(isAlive(pid)).toBe(false)
    expect(await start.ended).toEqual({ code: 1, signal: null })
    expect(start.stderr).toContain('conclave: the server cannot start: SIGTERM ended it\n')
  })
})

describe('conclave server - what cannot be', () => {
  test('a port in use - the cause, in one sentence', async () => {
    await using other = await EmbeddedServerProcess.start()
    const { port } = other.endpoint
    const start = server('start', '-d', 'data', '-p', String(port))
    expectFailure(
      start,
      1,
      new RegExp(
        `^conclave: the server cannot start: cannot listen on 127\\.0\\.0\\.1:${port}: the port is in use`,
      ),
    )
    expect(server('stop', '-d', 'data').stderr).toMatch(/^No server runs/)
  })

  test('folders that cannot be used - are told, and left alone', () => {
    writeFileSync(path('file'), 'mine')
    mkdirSync(path('documents'))
    writeFileSync(path('documents/letter.txt'), 'mine')
    expectFailure(server('start', '-d', 'file'), 2, /file is not a folder/)
    expectFailure(server('start', '-d', '/proc/conclave'), 2, /\/proc\/conclave cannot be made/)
    for (const command of ['start', 'stop', 'restart', 'status']) {
      expectFailure(server(command, '-d', 'documents'), 2, /documents is not the data folder of a server/)
    }
    expectFailure(
      server('start', '-d', 'data', '--log', 'no/log'),
      2,
      /cannot write the log .*no\/log \(ENOENT\)/,
    )
    expect(existsSync(path('documents/conclave-server.log'))).toBe(false)
  })

  test('wrong words - are refused', () => {
    for (const args of [
      ['frob'],
      ['start', '--port', '65536'],
      ['start', 'data'],
      ['stop', '--frob'],
      ['status', '--log', 'x'],
    ]) {
      const { code, stdout, stderr } = server(...args)
      expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' })
      expect(stderr).toMatch(/^error: /)
    }
  })

  test('help - every command shows an example', () => {
    for (const command of ['start-foreground', 'start', 'stop', 'restart', 'status']) {
      const { code, stdout } = server(command, '--help')
      expect(code).toBe(0)
      expect(stdout).toMatch(new RegExp(`Example:\\n {2}\\$ conclave server ${command} `))
    }
  })
})

describe('conclave server - zoo.cfg', () => {
  function configure(...lines: string[]): void {
    writeFileSync(path('zoo.cfg'), ['dataDir=data', 'admin.enableServer=false', ...lines].join('\n'))
  }

  test('configuration - its folder and its port are used, its warnings shown, its secrets not', async () => {
    const port = await freePort()
    configure(`clientPort=${port}`, 'initLimit=5', 'SASLAuthenticationProvider.superPassword=hunter2')
    const start = server('--config', 'zoo.cfg', 'start', '--log', 'server.log')
    expect(start.code).toBe(0)
    expect(start.stderr).toMatch(/^Warning: initLimit has no effect: it concerns an ensemble/)
    expect(start.stderr).toContain(`its log in ${path('server.log')}.\n`)
    const status = server('status', '--config', 'zoo.cfg')
    expect(status.stdout).toContain(`Address: 127.0.0.1:${port}\n`)
    expect(read('server.log')).toContain('initLimit has no effect')
    const restart = server('restart', '--config', 'zoo.cfg')
    expect(restart.code).toBe(0)
    for (const text of [
      ...[start, status, restart].map(({ stdout, stderr }) => stdout + stderr),
      ...['server.log', 'data/conclave-server.json', 'data/conclave-server.settings'].map(read),
    ]) {
      expect(text).not.toContain('hunter2')
    }
  })

  test('--port and --data-dir - win over the configuration', async () => {
    configure(`clientPort=${await freePort()}`)
    const port = await freePort()
    expect(server('start', '--config', 'zoo.cfg', '-d', 'other', '-p', String(port)).code).toBe(0)
    expect(statusOf('-d', 'other')).toMatchObject({ state: 'running', port })
    expect(statusOf('--config', 'zoo.cfg')).toMatchObject({ state: 'stopped' })
  })

  test('a configuration that is wrong - is told, and costs no server that runs', () => {
    configure('clientPort=0')
    server('start', '--config', 'zoo.cfg')
    const { pid } = statusOf('-d', 'data')
    configure('clientPort=many')
    const sentence = /^conclave: clientPort must be a whole number, not many$/m
    expectFailure(server('restart', '-d', 'data'), 2, sentence)
    expectFailure(server('restart', '--config', 'zoo.cfg'), 2, sentence)
    configure('clientPort=0')
    expectFailure(server('restart', '-d', 'data', '--log', 'no/log'), 2, /cannot write the log/)
    configure('clientPort=many')
    expect(statusOf('-d', 'data')).toMatchObject({ state: 'running', pid })
    expect(server('stop', '--config', 'zoo.cfg').code).toBe(0)
    expectFailure(server('start', '--config', 'zoo.cfg'), 2, sentence)
    expectFailure(
      server('start', '--config', 'none.cfg'),
      2,
      /cannot read the configuration .*none\.cfg \(ENOENT\)/,
    )
  })

  test('TLS alone - the server is asked with its own certificate; what may not be told is not known', () => {
    const { authority, server: own } = testCertificates()
    writeFileSync(path('server.pem'), `${own.key}\n${own.cert}`)
    writeFileSync(path('ca.pem'), authority.cert)
    const tls = ['secureClientPort=0', 'ssl.keyStore.location=server.pem', 'ssl.trustStore.location=ca.pem']
    configure(...tls)
    expect(server('start', '--config', 'zoo.cfg').stderr).toMatch(/^Started process/)
    const running = { state: 'running', mode: 'standalone', sessions: 0 }
    expect(statusOf('-d', 'data')).toMatchObject(running)
    configure(...tls, 'client.certReload=true')
    expect(statusOf('-d', 'data')).toMatchObject(running)
    configure('secureClientPort=0')
    const { code, stdout } = server('status', '-d', 'data')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^Server: running$/m)
    expect(stdout).not.toMatch(/^Mode/m)
  })

  test('four-letter words that are not allowed - what they would tell is not known', () => {
    configure('clientPort=0', '4lw.commands.whitelist=srvr')
    server('start', '--config', 'zoo.cfg')
    const { code, stdout } = server('status', '-d', 'data')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^Mode: standalone$/m)
    expect(stdout).not.toMatch(/^Sessions/m)
  })
})

describe('conclave server - restart', () => {
  test('restart - with the settings it had, from anywhere; options win over them', async () => {
    mkdirSync(path('elsewhere'))
    writeFileSync(path('zoo.cfg'), 'dataDir=data\nclientPort=0\nadmin.enableServer=false\ntickTime=500')
    server('start', '--config', 'zoo.cfg', '-p', '0', '--log', 'server.log')
    const first = statusOf('-d', 'data')
    const zk = await connect('data')
    await zk.create('/a')

    const restart = spawnSync(process.execPath, [program, 'server', 'restart', '-d', path('data')], {
      cwd: path('elsewhere'),
      encoding: 'utf8',
    })
    expect(restart.status).toBe(0)
    const second = statusOf('-d', 'data')
    started.push({ pid: second.pid, forget: killAtExit(second.pid) })
    expect(restart.stderr).toBe(
      `Stopped process ${first.pid}.\n` +
        `Started process ${second.pid}, which listens on 127.0.0.1:${first.port}.\n` +
        `Its data is in ${path('data')}, its log in ${path('server.log')}.\n`,
    )
    // The session outlives it, and so does what the configuration says.
    await eventually(() => zk.state === 'connected')
    expect(zk.session.negotiatedTimeoutMs).toBe(10_000)
    expect(await zk.exists('/a')).not.toBeNull()
    await zk.close()

    const port = await freePort()
    expect(server('restart', '-d', 'data', '-p', String(port)).code).toBe(0)
    expect(statusOf('-d', 'data')).toMatchObject({ port })
    server('stop', '-d', 'data')
    const dead = server('restart', '-d', 'data')
    expect(dead.stderr).not.toContain('Stopped')
    expect(statusOf('-d', 'data')).toMatchObject({ state: 'running', port })
  })

  test('restart - a program that uses the folder goes on, and does not start it before', async () => {
    server('start', '-d', 'data', '-p', '0')
    const { port } = statusOf('-d', 'data')
    const script = `
      import { connect } from ${JSON.stringify(umbrella)}
      const zk = await connect('embedded:data')
      // Seldom enough that it never waits for somebody to listen.
      for (let i = 0; ; i++) await zk.getData('/').then(() => i % 100 || console.log('read'), () => {})`
    const args = ['--input-type=module', '-e', script]
    const user = new TestProcess(process.execPath, args, { cwd: folder.path })
    for (let i = 0; i < 3; i++) {
      await user.line(line => line === 'read' || undefined)
      const { code, stderr } = server('restart', '-d', 'data')
      expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringMatching(/^Stopped process/) })
    }
    await user.line(line => line === 'read' || undefined)
    expect(statusOf('-d', 'data')).toMatchObject({ state: 'running', port })
    expect(existsSync(path('data/conclave-server.starting'))).toBe(false)
    await user.kill()
  })

  test('restart - of one in the foreground puts it into the background', async () => {
    writeFileSync(path('zoo.cfg'), 'dataDir=data\nclientPort=0\nadmin.enableServer=false\ninitLimit=1')
    const args = [program, 'server', '--config', 'zoo.cfg']
    const foreground = new TestProcess(process.execPath, args, { cwd: folder.path })
    await eventually(() => foreground.stderr.includes('Ctrl-C ends it'))
    expect(foreground.stderr).toMatch(/^Warning: initLimit has no effect/)
    const { code, stderr } = server('restart', '-d', 'data')
    expect(code).toBe(0)
    expect(stderr).toMatch(/^Warning: initLimit has no effect/)
    expect(await foreground.ended).toEqual<ProcessEnd>({ code: 0, signal: null })
    expect(statusOf('-d', 'data')).toMatchObject({ state: 'running' })
  })

  test('restart - of one that something else started is refused: its settings are not known', async () => {
    await using library = await EmbeddedServerProcess.start()
    const restart = server('restart', '-d', library.dataDir)
    expectFailure(restart, 2, new RegExp(`it is not known how .* was started \\(process ${library.pid}, at `))
    expect(library.process.isRunning).toBe(true)
  })
})
