// Puts the server's program and all that it imports into one file, `packages/server/dist/program/bin.cjs`, because reading
// a hundred modules takes longer than all else that a server does before it serves. It is CommonJS, which Node.js has
// running 15 ms sooner; what only some servers need is part of it, but not run before it is needed. To be run after each
// build: `npm run build` and the tests do.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const dist = fileURLToPath(new URL('../packages/server/dist', import.meta.url))
const program = join(dist, 'program', 'bin.cjs')

/** Does nothing where nothing was built yet, and does not touch a file that is as it should be: servers may be running. */
export default async function bundle() {
  const entryPoint = join(dist, 'bin.js')
  if (!existsSync(entryPoint)) return
  const { outputFiles } = await build({
    entryPoints: [entryPoint],
    outfile: program,
    write: false,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20.19',
    logLevel: 'warning',
  })
  const { contents } = outputFiles[0]
  for (const name of existsSync(dirname(program)) ? readdirSync(dirname(program)) : []) {
    // Earlier versions had more files, which would still run.
    if (name !== basename(program)) rmSync(join(dirname(program), name))
  }
  if (existsSync(program) && readFileSync(program).equals(contents)) return
  mkdirSync(dirname(program), { recursive: true })
  writeFileSync(program, contents)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle()
