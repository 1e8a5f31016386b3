import { eventually, runningProcesses, TestProcess } from '@conclave/testing'
import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'

const testing = new URL('../../packages/testing/dist/index.js', import.meta.url).href

/** Runs a program for a few moments; it is given as text. */
function run(program: string): TestProcess {
  return new TestProcess(process.execPath, ['--input-type=module', '-e', program], { name: 'the program' })
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

test('TestProcess - gives lines of output, its end and both outputs', async () => {
  const child = run(`console.log('one'); console.log('two'); console.error('oh'); process.exitCode = 3`)
  expect(runningProcesses()).toContain(child)
  expect(await child.line(line => (line.startsWith('t') ? line.length : undefined))).toBe(3)
  expect(await child.ended).toEqual({ code: 3, signal: null })
  expect(child).toMatchObject({ stdout: 'one\ntwo\n', stderr: 'oh\n', isRunning: false })
  expect(runningProcesses()).not.toContain(child)
})

test('TestProcess - a line that never comes rejects when the process ends', async () => {
  const child = run(`console.error('no such thing'); process.exit(1)`)
  await expect(child.line(() => undefined)).rejects.toThrow('the program ended (exit code 1): no such thing')
})

test('TestProcess - a program that does not exist ends at once', async () => {
  const child = new TestProcess('/nonexistent/program', [])
  expect(await child.ended).toEqual({ code: null, signal: null })
  expect(child.stderr).toContain('ENOENT')
})

test('TestProcess - terminate kills what does not end by itself', async () => {
  const child = run(`process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('ready')`)
  await child.line(line => line === 'ready' || undefined)
  expect(await child.terminate(50)).toEqual({ code: null, signal: 'SIGKILL' })
})

test('TestProcess - processes and folders do not outlive a test process that is killed', async () => {
  const tester = run(`
    import { TestProcess, temporaryFolder } from ${JSON.stringify(testing)}
    const child = new TestProcess(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    console.log(JSON.stringify({ pid: child.pid, path: temporaryFolder().path }))
    setInterval(() => {}, 1000)
  `)
  const { pid, path } = await tester.line(line => JSON.parse(line) as { pid: number; path: string })
  expect(isAlive(pid)).toBe(true)
  await tester.kill()
  await eventually(() => !isAlive(pid) && !existsSync(path))
})

test('TestProcess - does not keep the test process alive', async () => {
  const child = run(`
    import { temporaryFolder } from ${JSON.stringify(testing)}
    temporaryFolder()
  `)
  expect(await child.ended).toEqual({ code: 0, signal: null })
  expect(child.stderr).toBe('')
})
