// Puts the server's program and all that it imports into one file, `packages/server/dist/program/bin.js`, because
// reading a hundred modules takes longer than all else that a server does before it serves. What only some servers need
// stays in files of its own, loaded when it is. To be run after each build: `npm run build` and the tests do.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const dist = fileURLToPath(new URL('../packages/server/dist', import.meta.url))
const program = join(dist, 'program')

/** Does nothing where nothing was built yet, and touches no file that is as it should be: servers may be running. */
export default async function bundle() {
  const entryPoint = join(dist, 'bin.js')
  if (!existsSync(entryPoint)) return
  const { outputFiles } = await build({
    entryPoints: [entryPoint],
    outdir: program,
    write: false,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    logLevel: 'warning',
  })
  mkdirSync(program, { recursive: true })
  for (const { path, contents } of outputFiles) {
    if (!existsSync(path) || !readFileSync(path).equals(contents)) writeFileSync(path, contents)
  }
  const wanted = new Set(outputFiles.map(({ path }) => path))
  for (const name of readdirSync(program)) {
    if (!wanted.has(join(program, name))) rmSync(join(program, name))
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle()
