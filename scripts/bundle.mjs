// Puts the server's program and all that it imports into one file, `packages/server/dist/program/bin.cjs`, because reading
// a hundred modules takes longer than all else that a server does before it serves. It is CommonJS, which Node.js has
// running 15 ms sooner; what only some servers need is part of it, but not run before it is needed. The thread of its log
// is another file, beside it. To be run after each build: `npm run build` and the tests do.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const dist = fileURLToPath(new URL('../packages/server/dist', import.meta.url))
const folder = join(dist, 'program')

const shared = { write: false, bundle: true, platform: 'node', target: 'node20.19', logLevel: 'warning' }
const PROGRAMS = [
  {
    entryPoints: [join(dist, 'bin.js')],
    outfile: join(folder, 'bin.cjs'),
    format: 'cjs',
    // What an ES module says of itself, for what is found beside it.
    define: { 'import.meta.url': 'moduleUrl' },
    banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href" },
  },
  {
    entryPoints: [join(dist, 'storage', 'log-thread', 'log-worker.js')],
    outfile: join(folder, 'log-worker.js'),
    format: 'esm',
  },
]

/** Does nothing where nothing was built yet, and does not touch a file that is as it should be: servers may be running. */
export default async function bundle() {
  if (!PROGRAMS.every(({ entryPoints }) => existsSync(entryPoints[0]))) return
  mkdirSync(folder, { recursive: true })
  const names = PROGRAMS.map(({ outfile }) => basename(outfile))
  for (const name of readdirSync(folder)) {
    // Earlier versions had other files, which would still run.
    if (!names.includes(name)) rmSync(join(folder, name))
  }
  for (const program of PROGRAMS) {
    const { outputFiles } = await build({ ...shared, ...program })
    const { contents } = outputFiles[0]
    const { outfile } = program
    if (!existsSync(outfile) || !readFileSync(outfile).equals(contents)) writeFileSync(outfile, contents)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle()
