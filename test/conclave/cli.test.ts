import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  EmbeddedServerProcess,
  eventually,
  killAtExit,
  TemporaryFolder,
  TestProcess,
} from '@conclave/testing'
import { connect, defaultDataFolder, EmbeddedEngine } from 'conclave'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const program = fileURLToPath(new URL('../../packages/conclave/dist/bin.js', import.meta.url))

const tasks = `
import { readFileSync } from 'node:fs'
export const notAFunction = 1
export function square(n) { return n * n }
export function countWords(path) { return readFileSync(path, 'utf8').split(/\\s+/).filter(Boolean).length }
export function oddOnly(n) { if (n % 2 === 0) throw new RangeError(n + ' is even'); return n }
export function exitOnThree(n) { if (n === 3) process.exit(7); return n }
export function killOnThree(n) { if (n === 3) process.kill(process.pid, 'SIGKILL'); return n }
export function chatty(n) { console.log('a task speaks'); return n }
export async function slow(n) { await new Promise(resolve => setTimeout(resolve, 20)); return n }
`

const typescriptTasks = `
import { twice } from './helper.js'
enum Mode { Plain, Loud }
export function shout(text: string): string { return Mode[twice(0) + 1] + ' ' + text.toUpperCase() }
`

let folder: TemporaryFolder
const path = (name: string): string => join(folder.path, name)
/** The servers that the commands start are below the test's folder, not in the user's. */
const env = (): Record<string, string> => ({ XDG_DATA_HOME: path('data home') })

beforeAll(() => {
  folder = new TemporaryFolder()
  writeFileSync(path('package.json'), '{ "name": "@scope/cli test", "type": "module" }')
  writeFileSync(path('tasks.js'), tasks)
  writeFileSync(path('broken.js'), 'export const a = 1\nexport function f( {')
  writeFileSync(path('exits.js'), 'process.exit(0)')
  writeFileSync(path('never.js'), 'await new Promise(() => {})\nexport function f() {}')
  writeFileSync(path('endless.js'), "import fs from 'node:fs'\nfs.writeFileSync('begun', '')\nfor (;;);")
  mkdirSync(path('typed'))
  writeFileSync(path('typed/tasks.ts'), typescriptTasks)
  writeFileSync(path('typed/helper.ts'), 'export const twice = (n: number): number => 2 * n')
  mkdirSync(path('docs/deep'), { recursive: true })
  writeFileSync(path('docs/b.md'), 'one two three')
  writeFileSync(path('docs/a.md'), 'one')
  writeFileSync(path('docs/deep/c [1].md'), 'one two')
  writeFileSync(path('docs/d.txt'), 'no Markdown')
})

afterAll(async () => {
  await new EmbeddedEngine(defaultDataFolder(folder.path, env())).stop()
  await folder.remove()
})

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the real command to its end, with `input` on its standard input. */
function conclave(
  args: readonly string[],
  input = '',
  environment: Record<string, string> = {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], {
      cwd: folder.path,
      env: { ...process.env, ...env(), ...environment },
    })
    const forget = killAtExit(child.pid!)
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.on('error', reject)
    child.on('close', code => {
      forget()
      resolve({ code, stdout, stderr })
    })
    // A command that refuses its arguments does not read its input.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}

const numbers = (count: number): string => Array.from({ length: count }, (_, i) => `${i + 1}\n`).join('')
const lines = (text: string): unknown[] =>
  text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as unknown)

/** One sentence, which ends up with nothing that only a programmer would read. */
function expectOneSentence(stderr: string, sentence: RegExp): void {
  expect(stderr.trim().split('\n')).toHaveLength(1)
  expect(stderr).toMatch(sentence)
  expect(stderr).not.toMatch(/\n\s+at /)
}

describe('conclave run - results', () => {
  test('standard input - a task for each line, results in the order of the lines', async () => {
    const { code, stdout, stderr } = await conclave(['run', './tasks.js#square'], numbers(500))
    expect(code).toBe(0)
    expect(lines(stdout)).toEqual(Array.from({ length: 500 }, (_, i) => (i + 1) ** 2))
    expect(stderr).toMatch(/^500 tasks in /)
  })

  test('files - a task for each, in the order of the paths, which it gets as written', async () => {
    const args = ['run', './tasks.js#countWords', '--input', 'docs/**/*.md', '--envelope', '--nodes', '2']
    const { code, stdout } = await conclave(args)
    expect(code).toBe(0)
    expect(lines(stdout)).toMatchObject([
      { index: 0, value: 1, attempt: 1 },
      { index: 1, value: 3, attempt: 1 },
      { index: 2, value: 2, attempt: 1 },
    ])
  })

  test('files - a name with the characters of a pattern is found as it is', async () => {
    const { stdout } = await conclave(['run', './tasks.js#countWords', '-i', 'docs/deep/c [1].md', '-n', '1'])
    expect(stdout).toBe('2\n')
  })

  test('TypeScript - enums and imports of .js that mean .ts work on every Node.js', async () => {
    const { code, stdout, stderr } = await conclave(['run', 'typed/tasks.ts#shout', '-n', '2'], '"a"\n"b"\n')
    expect(stderr).toMatch(/^2 tasks/)
    expect(code).toBe(0)
    expect(lines(stdout)).toEqual(['Loud A', 'Loud B'])
  })

  test('--output - results go to the file, what tasks print does not mix with results', async () => {
    const { code, stdout, stderr } = await conclave(
      ['run', './tasks.js#chatty', '-o', 'out.ndjson'],
      numbers(3),
    )
    expect(code).toBe(0)
    expect(stdout).toBe('')
    expect(stderr).toContain('a task speaks')
    expect(lines(readFileSync(path('out.ndjson'), 'utf8'))).toEqual([1, 2, 3])
  })

  test('no input - an empty result, and nothing is started for it', async () => {
    const empty = await conclave(['run', './tasks.js#square', '-c', '127.0.0.1:1', '-o', 'empty.ndjson'])
    expect(empty).toMatchObject({ code: 0, stdout: '' })
    expectOneSentence(empty.stderr, /the input is empty/i)
    expect(readFileSync(path('empty.ndjson'), 'utf8')).toBe('')
  })

  test.skipIf(!existsSync('/dev/full'))('--output - a full disk is always told', async () => {
    const full = await conclave(['run', './tasks.js#square', '-n', '1', '-o', '/dev/full'], '1\n')
    expect(full.code).toBe(1)
    expectOneSentence(full.stderr, /cannot write to \/dev\/full: ENOSPC/)
  })

  test('--output - earlier results stay until there is a job for new ones', async () => {
    writeFileSync(path('kept.ndjson'), 'precious')
    const to = ['-o', 'kept.ndjson']
    expect((await conclave(['run', './tasks.js#square', ...to], '{bad\n')).code).toBe(2)
    expect((await conclave(['run', 'square', '-c', '127.0.0.1:1', ...to], '1\n')).code).toBe(1)
    expect(readFileSync(path('kept.ndjson'), 'utf8')).toBe('precious')
    expect((await conclave(['run', './tasks.js#square', '-n', '1', ...to], '2\n')).code).toBe(0)
    expect(readFileSync(path('kept.ndjson'), 'utf8')).toBe('4\n')
  })

  test('killed runs - the next one removes what they left, and nothing of those that live', async () => {
    await using zk = await connect(`embedded:${defaultDataFolder(folder.path, env())}`)
    const gone = new TestProcess(process.execPath, ['-e', ''])
    await gone.ended
    const [abandoned, alive, occupied] = [
      `run-${gone.pid}-a`,
      `run-${process.pid}-a`,
      `run-${gone.pid}-b`,
    ].map(name => `/conclave/${name}`)
    for (const cluster of [abandoned!, alive!]) await zk.ensurePath(`${cluster}/jobs/x/inputs`)
    await zk.ensurePath(`${occupied!}/agents`)
    await zk.create(`${occupied!}/agents/one`, null, { mode: 'ephemeral' })
    expect((await conclave(['run', './tasks.js#square', '-n', '1'], '1\n')).code).toBe(0)
    const { children } = await zk.getChildren('/conclave')
    expect(new Set(children.map(name => `/conclave/${name}`))).toEqual(new Set([alive, occupied]))
  })

  test('a reader that has enough - ends without a word of it', async () => {
    const child = spawn(
      'sh',
      ['-c', `"$0" "$1" run ./tasks.js#square -n 1 | head -n 2`, process.execPath, program],
      {
        cwd: folder.path,
        env: { ...process.env, ...env() },
        stdio: ['pipe', 'pipe', 'pipe'],
      },
    )
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', chunk => (stdout += String(chunk)))
    child.stderr.on('data', chunk => (stderr += String(chunk)))
    child.stdin.on('error', () => {})
    child.stdin.end(numbers(60_000))
    await new Promise(resolve => child.on('close', resolve))
    expect(stdout).toBe('1\n4\n')
    expect(stderr).not.toMatch(/EPIPE|Error/)
  })
})

describe('conclave run - bad input', () => {
  test('a task module that does not exist', async () => {
    const { code, stderr } = await conclave(['run', './nope.js#square'], '1\n')
    expect(code).toBe(2)
    expectOneSentence(stderr, /there is no task module '\.\/nope\.js': name a JavaScript or TypeScript file/)
  })

  test('a task module that lacks the function, or names none, or cannot be loaded', async () => {
    const lacking = await conclave(['run', './tasks.js#notAFunction'], '1\n')
    expect(lacking.code).toBe(2)
    expectOneSentence(
      lacking.stderr,
      /no function 'notAFunction': it exports chatty, countWords, exitOnThree, killOnThree/,
    )
    const unnamed = await conclave(['run', './tasks.js'], '1\n')
    expect(unnamed.code).toBe(2)
    expectOneSentence(unnamed.stderr, /names no function/)
    const broken = await conclave(['run', './broken.js#f'], '1\n')
    expect(broken.code).toBe(2)
    expectOneSentence(broken.stderr, /\/broken\.js cannot be loaded: .* \(\/.*\/broken\.js:2\)$/m)
  })

  test('a task module that cannot be loaded - each command says so before it starts anything', async () => {
    const sentences: [string, RegExp][] = [
      ['broken.js', /broken\.js cannot be loaded: .*\/broken\.js:2\)$/m],
      ['exits.js', /exits\.js cannot be loaded: it calls process\.exit\(0\)/],
      ['never.js', /never\.js cannot be loaded: it waits for something that never comes/],
    ]
    for (const [module, sentence] of sentences) {
      for (const args of [
        ['run', `./${module}#f`],
        ['up', '-t', module],
        ['join', '-t', module],
      ]) {
        const { code, stderr } = await conclave(args, '1\n')
        expect({ args, code }).toEqual({ args, code: 2 })
        expectOneSentence(stderr, sentence)
      }
    }
    mkdirSync(path('other'), { recursive: true })
    writeFileSync(path('other/tasks.js'), tasks)
    const twins = await conclave(['up', '-t', 'tasks.js', '-t', 'other/tasks.js'])
    expect(twins.code).toBe(2)
    expectOneSentence(twins.stderr, /are both called 'tasks': rename one/)
  })

  test('an input pattern that matches nothing', async () => {
    const { code, stderr } = await conclave(['run', './tasks.js#countWords', '--input', 'docs/*.rst'])
    expect(code).toBe(2)
    expectOneSentence(stderr, /no file matches 'docs\/\*\.rst': check --input/)
  })

  test('an input line that is not JSON', async () => {
    const { code, stdout, stderr } = await conclave(
      ['run', './tasks.js#square', '-n', '1'],
      '1\n2\n{ three\n4\n',
    )
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expectOneSentence(stderr, /line 3 of the input is not JSON: { three/)
  })

  test('a task that throws - all others are written, it is reported with error and attempts', async () => {
    const { code, stdout, stderr } = await conclave(
      ['run', './tasks.js#oddOnly', '-n', '2', '--max-attempts', '2'],
      numbers(5),
    )
    expect(code).toBe(1)
    expect(lines(stdout)).toEqual([1, 3, 5])
    expect(stderr.split('\n')).toMatchObject([
      'task 1 failed after 2 attempts: RangeError: 2 is even',
      'task 3 failed after 2 attempts: RangeError: 4 is even',
      expect.stringMatching(/^5 tasks in .* s, 2 of them failed/),
      '',
    ])
  })

  test('a task that throws - with --envelope the failure is a line in its place', async () => {
    const args = ['run', './tasks.js#oddOnly', '-n', '2', '--max-attempts', '1', '--envelope']
    const { stdout } = await conclave(args, numbers(3))
    expect(lines(stdout)).toMatchObject([
      { index: 0, value: 1 },
      { index: 1, error: { name: 'RangeError', message: '2 is even' }, attempt: 1 },
      { index: 2, value: 3 },
    ])
  })

  test('a task that calls process.exit - it fails alone', async () => {
    const { code, stdout, stderr } = await conclave(['run', './tasks.js#exitOnThree', '-n', '2'], numbers(6))
    expect(code).toBe(1)
    expect(lines(stdout)).toEqual([1, 2, 4, 5, 6])
    expect(stderr).toMatch(/^task 2 failed after 3 attempts: .*process\.exit/)
  })

  test('a task that kills its process - it fails alone, and the nodes come back', async () => {
    const { code, stdout, stderr } = await conclave(['run', './tasks.js#killOnThree'], numbers(6))
    expect(code).toBe(1)
    expect(lines(stdout)).toEqual([1, 2, 4, 5, 6])
    expect(stderr).toMatch(/^task 2 failed after 3 attempts: .*the process that ran this task died/m)
  })

  test('an output file that cannot be written', async () => {
    const { code, stderr } = await conclave(['run', './tasks.js#square', '-o', 'no/such/folder'], '1\n')
    expect(code).toBe(2)
    expectOneSentence(stderr, /cannot write to 'no\/such\/folder'/)
  })

  test('unknown commands, options and values', async () => {
    for (const args of [
      ['frob'],
      ['run'],
      ['run', 'x', '--frob'],
      ['up', '--nodes', '0'],
      ['run', 'x', '--cluster', 'y'],
    ]) {
      const { code, stdout, stderr } = await conclave(args, '1\n')
      expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' })
      expect(stderr).not.toMatch(/\n\s+at /)
    }
  })

  test('--verbose - the stack as well', async () => {
    const { stderr } = await conclave(['--verbose', 'run', './nope.js#square'], '1\n')
    expect(stderr).toMatch(/\n\s+at /)
  })
})

describe('conclave - servers', () => {
  test('an unreachable server', async () => {
    const { code, stderr } = await conclave(['status', '--connect', '127.0.0.1:1'])
    expect(code).toBe(1)
    expectOneSentence(
      stderr,
      /no ZooKeeper server could be reached: .*ECONNREFUSED.*check that the servers run/,
    )
  })

  test('a connect string that is none', async () => {
    for (const text of ['zk1:port', 'a b', ':2181']) {
      const { code, stderr } = await conclave(['status', '--connect', text])
      expect({ text, code }).toEqual({ text, code: 2 })
      expectOneSentence(stderr, new RegExp(`^conclave: "${text}" is not host:port`))
    }
  })

  test('a port in use', async () => {
    const taken = createServer()
    await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as AddressInfo
    const { code, stderr } = await conclave(['server', '--data-dir', 'port', '--port', String(port)])
    await new Promise(resolve => taken.close(resolve))
    expect(code).toBe(1)
    expectOneSentence(
      stderr,
      new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: the port is in use; choose another`),
    )
  })

  test('a data folder that is a file, or of something else', async () => {
    for (const command of ['server', 'up']) {
      const file = await conclave([command, '--data-dir', 'tasks.js'])
      expect(file.code).toBe(2)
      expectOneSentence(file.stderr, /tasks\.js is (a file|not a folder)/)
      const other = await conclave([command, '--data-dir', 'docs'])
      expect(other.code).toBe(2)
      expectOneSentence(other.stderr, /docs is not .*data folder.* \(it holds .*name an empty or a new/)
    }
  })

  test('a folder that is none - each command says so at once', async () => {
    for (const command of ['status', 'join', 'up', 'run']) {
      const args = [command, ...(command === 'run' ? ['square'] : []), '-c', 'embedded:tasks.js']
      const { code, stderr } = await conclave(args, '1\n')
      expect({ command, code }).toEqual({ command, code: 2 })
      expectOneSentence(stderr, /^conclave: \S+tasks\.js is not a folder: name one/)
    }
  })

  test('--data-dir - wins over the environment, and cannot go with --connect', async () => {
    const both = await conclave(['up', '-d', 'tasks.js', '-c', '127.0.0.1:1'])
    expect(both.code).toBe(2)
    expectOneSentence(both.stderr, /--connect names the servers and --data-dir starts one/)
    const environment = { CONCLAVE_CONNECT: '127.0.0.1:1' }
    const one = await conclave(['up', '-d', 'tasks.js'], '', environment)
    expectOneSentence(one.stderr, /tasks\.js is not a folder/)
  })

  test('status - to look at what does not run starts nothing', async () => {
    const { code, stderr } = await conclave(['status', '--connect', 'embedded:never started'])
    expect(code).toBe(1)
    expectOneSentence(
      stderr,
      /no embedded server runs on .*never started: start a cluster with 'conclave up'/,
    )
  })

  test('server, join, run and status - a cluster of processes started one by one', async () => {
    await using server = await EmbeddedServerProcess.start()
    const at = ['--connect', `${server.connectString}/app`, '--cluster', 'words']
    const nodes = ['n1', 'n2'].map(id => {
      const args = ['join', ...at, '--tasks', './tasks.js', '--id', id]
      return new TestProcess(process.execPath, [program, ...args], { cwd: folder.path, env: env() })
    })
    await eventually(() => nodes.every(node => node.stderr.includes('is a node of cluster words')))
    await eventually(() => nodes.some(node => node.stderr.includes('is the leader (fencing token 0x')))
    const { stdout } = await eventually(async () => {
      const status = await conclave(['status', ...at, '--json'])
      return (JSON.parse(status.stdout) as { workers: unknown[] }).workers.length === 1 && status
    })
    expect(JSON.parse(stdout)).toMatchObject({
      cluster: 'words',
      leader: { nodeId: expect.stringMatching(/^n[12]$/) as string },
      workers: [{ nodeId: expect.stringMatching(/^n[12]$/) as string }],
      jobs: [],
    })
    expect((await conclave(['status', ...at])).stdout).toMatch(
      /^cluster {2}words\nleader {3}n[12] \(fencing token 0x/,
    )

    const typo = await conclave(['status', '--connect', `${server.connectString}/app`, '--cluster', 'wrods'])
    expect(typo.code).toBe(1)
    expectOneSentence(typo.stderr, /there is no cluster 'wrods': there are words$/m)

    const done = await conclave(['run', './tasks.js#square', ...at], numbers(50))
    expect(lines(done.stdout)).toEqual(Array.from({ length: 50 }, (_, i) => (i + 1) ** 2))
    const unknown = await conclave(['run', 'tasks#nope', ...at], '1\n')
    expect(unknown.code).toBe(2)
    expectOneSentence(
      unknown.stderr,
      /no worker of cluster 'words' knows the task 'tasks#nope': they know tasks#chatty/,
    )

    expect(await Promise.all(nodes.map(node => node.terminate()))).toMatchObject([{ code: 0 }, { code: 0 }])
  })

  test('SIGINT - ends a job in order and says so with its exit code', async () => {
    writeFileSync(path('many.ndjson'), numbers(5_000))
    const args = [
      '-c',
      `exec "$0" "$1" run ./tasks.js#slow -n 2 -o partial.ndjson < many.ndjson`,
      process.execPath,
      program,
    ]
    const run = new TestProcess('sh', args, { cwd: folder.path, env: env() })
    await eventually(() => readFileSync(path('partial.ndjson'), 'utf8').length > 0)
    run.signal('SIGINT')
    expect(await run.ended).toEqual({ code: 130, signal: null })
    const written = lines(readFileSync(path('partial.ndjson'), 'utf8'))
    expect(written).toEqual(written.map((_, i) => i + 1))
  })

  test.each([
    ['waits for its input', ['run', './tasks.js#square', '-o', 'begun']],
    ['loads a module for ever', ['run', './endless.js#f']],
    ['loads a module for ever', ['join', '-t', 'endless.js']],
  ])('SIGINT - ends what %s: %j', async (_what, args) => {
    rmSync(path('begun'), { force: true })
    const child = spawn(process.execPath, [program, ...args], {
      cwd: folder.path,
      env: { ...process.env, ...env() },
      stdio: ['pipe', 'ignore', 'pipe'],
    })
    const forget = killAtExit(child.pid!)
    let stderr = ''
    child.stderr.on('data', chunk => (stderr += String(chunk)))
    const ended = new Promise(resolve => child.once('close', resolve))
    await eventually(() => existsSync(path('begun')))
    child.kill('SIGINT')
    // Its standard input is still open.
    expect(await ended).toBe(130)
    expect(stderr).toBe('')
    forget()
  })

  test('help - every command shows an example', async () => {
    for (const command of ['up', 'run', 'join', 'status', 'server']) {
      const { code, stdout } = await conclave([command, '--help'])
      expect(code).toBe(0)
      expect(stdout).toMatch(new RegExp(`Examples?:\\n( {2}\\$ .*\\n)* {2}\\$ conclave ${command} `))
    }
  })
})
