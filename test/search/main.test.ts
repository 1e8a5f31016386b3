import { readdirSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { eventually, TemporaryFolder, TestProcess } from '@conclave/testing'
import { EmbeddedEngine } from 'conclave'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const program = fileURLToPath(new URL('../../examples/dist/search/main.js', import.meta.url))

let temporary: TemporaryFolder
const path = (name: string): string => join(temporary.path, name)

beforeEach(async () => {
  temporary = new TemporaryFolder()
  await mkdir(path('tmp'))
  await mkdir(path('notes'))
  await mkdir(path('empty'))
  writeFileSync(
    path('notes/election.md'),
    'An election: the leader of the leaders is elected in an election.',
  )
  writeFileSync(path('notes/leader.md'), 'A leader, and a lot of other words that are not about it at all.')
  writeFileSync(path('notes/other.md'), 'Nothing to see here.')
})
afterEach(() => temporary.remove())

/** The example as `npm start` runs it; what it puts into the system's temporary folder is the test's to look at. */
function start(...args: string[]): TestProcess {
  return new TestProcess(process.execPath, [program, ...args], {
    name: 'the search',
    env: { TMPDIR: path('tmp') },
  })
}

describe('search example', () => {
  test('without a terminal - shows leader, progress, hits and workers, ends with 0, and leaves nothing behind', async () => {
    const search = start('--dir', path('notes'), '--query', 'Leader ELECTION', '--nodes', '2')
    expect(await search.ended).toEqual({ code: 0, signal: null })
    expect(search.stderr).toBe('')
    expect(search.stdout).toMatch(
      new RegExp(
        [
          String.raw`^node-\w+ \(pid \d+\) is the elected leader of 2 nodes, after \d+\.\d\d s`,
          String.raw`Searching 3 files \(0\.0 MB\) for: leader election`,
          String.raw`1 of 1 tasks done \(100 %\)`,
          String.raw`2 of 3 documents match`,
          String.raw`  1\. +\d\.\d{4}  election\.md`,
          String.raw`  2\. +\d\.\d{4}  leader\.md`,
          String.raw`1 task in \d+\.\d\d s: \d+ tasks per second, [\d,]+ words per second`,
          String.raw`  node-\w+  1 task\n$`,
        ].join('\n'),
      ),
    )
    expect(readdirSync(path('tmp'))).toEqual([])
  })

  test('--data-dir - the data stays, and the next search goes on it', async () => {
    const args = ['--dir', path('notes'), '--data-dir', path('data'), '--nodes', '1', '--exit']
    for (const run of ['first', 'second']) {
      const search = start(...args)
      expect({ run, ...(await search.ended) }).toEqual({ run, code: 0, signal: null })
    }
    expect(readdirSync(path('data'))).toContain('version-2')
    await new EmbeddedEngine(path('data')).stop()
  })

  test('SIGTERM - ends in order at any moment, and leaves nothing behind', async () => {
    const search = start('--dir', path('notes'))
    await eventually(() => readdirSync(path('tmp')).length > 0)
    search.signal('SIGTERM')
    expect(await search.ended).toEqual({ code: 130, signal: null })
    expect(search.stderr).toBe('')
    expect(readdirSync(path('tmp'))).toEqual([])
  })

  test('SIGINT, SIGHUP - repeated ones leave nothing behind either', async () => {
    for (const [first, second] of [
      ['SIGINT', 'SIGINT'],
      ['SIGHUP', 'SIGHUP'],
    ] as const) {
      const search = start('--dir', path('notes'))
      await eventually(() => readdirSync(path('tmp')).length > 0)
      search.signal(first)
      search.signal(second)
      expect(await search.ended).toEqual({ code: 130, signal: null })
      expect(readdirSync(path('tmp'))).toEqual([])
    }
  })

  test('bad input - one sentence, and exit code 2', async () => {
    const cases: [string[], RegExp][] = [
      [['--dir', path('nowhere')], /^search: cannot search .*nowhere: .*; name a folder with --dir\n$/],
      [['--dir', path('empty')], /^search: there is no file in .*empty: name another folder with --dir\n$/],
      [['--query', '...'], /^search: --query must have a word in it\n$/],
      [['--nodes', 'many'], /^search: --nodes must be a whole number from 1 up\n$/],
      [['--frob'], /^search: Unknown option '--frob'.*see npm start -- --help\n$/],
      [
        ['--dir', path('notes'), '--data-dir', path('notes')],
        /^search: .*notes is not the data folder of a server/,
      ],
    ]
    for (const [args, sentence] of cases) {
      const search = start(...args)
      expect({ args, ...(await search.ended) }).toEqual({ args, code: 2, signal: null })
      expect(search.stderr).toMatch(sentence)
      expect(search.stderr.trim().split('\n')).toHaveLength(1)
      expect(search.stdout).toBe('')
    }
  })

  test('--help - shows every option', async () => {
    const search = start('--help')
    expect(await search.ended).toEqual({ code: 0, signal: null })
    for (const option of ['dir', 'query', 'top', 'nodes', 'data-dir', 'exit', 'help']) {
      expect(search.stdout).toContain(`--${option}`)
    }
  })
})
