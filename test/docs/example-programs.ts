import { ZooKeeper } from '@conclave/client'
import { eventually, TestProcess } from '@conclave/testing'
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { expect } from 'vitest'
import { atServer, matches, root, type Example } from './examples.ts'

/** Time for a program that works; one that hangs is shown with what it printed so far. */
const TIMEOUT_MS = 30_000

/** Examples made into programs that use one server, each with a tree of its own below its number. */
export class ExamplePrograms {
  readonly #connectString: string
  readonly #folder: string
  readonly #examples: readonly Example[]

  /** `name` is that of a folder for the programs. */
  constructor(name: string, examples: readonly Example[], connectString: string) {
    this.#connectString = connectString
    this.#examples = examples
    this.#folder = join(root, '.cache', 'example-programs', name)
  }

  /** Writes all of them and compiles them at once. Types are not looked at: all examples of all documents compile. */
  build(): void {
    rmSync(this.#folder, { recursive: true, force: true })
    for (const example of this.#examples) {
      const file = this.#fileOf(example, '.ts')
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(
        file,
        `${atServer(example.code, this.#connectString + this.#chrootOf(example)).code}\nexport {}\n`,
      )
    }
    const compilerOptions = {
      composite: false,
      noCheck: true,
      declaration: false,
      sourceMap: false,
      outDir: 'dist',
      rootDir: '.',
    }
    writeFileSync(
      join(this.#folder, 'tsconfig.json'),
      JSON.stringify({ extends: '../../../tsconfig.base.json', compilerOptions, include: ['**/*.ts'] }),
    )
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const { stdout, status } = spawnSync(process.execPath, [tsc, '-p', this.#folder], { encoding: 'utf8' })
    expect(stdout).toBe('')
    expect(status).toBe(0)
  }

  /** Runs one, and holds it to what it says. */
  async run(example: Example): Promise<void> {
    // Of one that neither ends nor prints nothing could be said.
    expect(example.isEndless && example.prints.length === 0).toBe(false)
    await this.#plant(example)
    const program = new TestProcess(process.execPath, [this.#fileOf(example, '.js')], {
      // What it makes goes with the next build.
      cwd: this.#folder,
    })
    let hasEnded = false
    void program.ended.then(() => (hasEnded = true))
    const isDone = (): boolean =>
      hasEnded || (example.isEndless && this.#linesOf(program).length >= example.prints.length)
    await eventually(isDone, { timeoutMs: TIMEOUT_MS }).catch(() => {})
    const end = hasEnded ? await program.ended : 'it goes on'
    await program.terminate()
    expect({ printed: announcedOr(example, this.#linesOf(program)), stderr: program.stderr, end }).toEqual({
      printed: example.prints,
      stderr: '',
      end: example.isEndless ? 'it goes on' : { code: 0, signal: null },
    })
  }

  async #plant(example: Example): Promise<void> {
    const { chroots } = atServer(example.code, '')
    for (const chroot of ['', ...chroots]) {
      const zk = await ZooKeeper.connect(this.#connectString + this.#chrootOf(example) + chroot)
      try {
        await zk.ensurePath('/')
      } finally {
        await zk.close()
      }
    }
  }

  #linesOf({ stdout }: TestProcess): readonly string[] {
    return stdout.split('\n').slice(0, -1)
  }

  #chrootOf(example: Example): string {
    return `/example-${this.#examples.indexOf(example)}`
  }

  #fileOf({ document, line }: Example, ending: '.ts' | '.js'): string {
    const folder = ending === '.js' ? join(this.#folder, 'dist') : this.#folder
    return join(
      folder,
      dirname(document).replaceAll('/', '.'),
      `${basename(document, '.md')}-${line}${ending}`,
    )
  }
}

/** The lines as they were announced, where they match. */
function announcedOr({ prints }: Example, lines: readonly string[]): readonly string[] {
  return lines.map((line, index) => {
    const announced = prints[index]
    return announced !== undefined && matches(announced, line) ? announced : line
  })
}
