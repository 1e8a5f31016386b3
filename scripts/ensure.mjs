// Makes a clone ready to run, before `npm start`, `npm run conclave` and `npm test`: dependencies installed as the
// lock file says, packages built and, with --test, an Apache ZooKeeper to test against. Does nothing, in well under
// 0.3 s, when all is ready. Uses Node.js built-ins only, because nothing may be installed yet.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const buildStamp = join(root, '.cache', 'build-stamp')

try {
  ensureNode()
  ensureDependencies()
  ensureBuild()
  if (process.argv.includes('--test')) await ensureZooKeeper()
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}

/** The floor is `engines.node` of package.json. */
function ensureNode() {
  const wanted = readJson('package.json').engines.node.replace('>=', '')
  const [major, minor] = wanted.split('.').map(Number)
  const [haveMajor, haveMinor] = process.versions.node.split('.').map(Number)
  if (haveMajor > major || (haveMajor === major && haveMinor >= minor)) return
  throw new Error(
    `Conclave needs Node.js ${wanted} or newer, and this is ${process.versions.node}: please update it.`,
  )
}

/** Compares the lock file with npm's own record of what it installed, so an `npm install` by hand counts as well. */
function ensureDependencies() {
  const record = join(root, 'node_modules', '.package-lock.json')
  if (existsSync(record) && isInstalled(readJson('package-lock.json').packages, readJson(record).packages))
    return
  console.log('Installing dependencies (npm ci) ...')
  // Development dependencies are needed even where NODE_ENV=production: the compiler is one of them.
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']
  const npm = process.env.npm_execpath
  const { status, output } =
    npm === undefined
      ? run('npm', args, { shell: process.platform === 'win32' })
      : run(process.execPath, [npm, ...args])
  if (status !== 0) throw new Error(`${output}\nnpm ci failed: see above, then run the command again.`)
}

/** Optional packages are those of other platforms: only their absence is fine, not another version. */
function isInstalled(wanted, installed) {
  return Object.entries(wanted).every(([path, { version, integrity, optional, link, resolved }]) => {
    if (!path.startsWith('node_modules/')) return true
    const found = installed[path]
    if (found === undefined) return optional === true
    return link === true
      ? found.resolved === resolved
      : found.version === version && found.integrity === integrity
  })
}

/** `tsc -b` takes longer to find out that nothing changed than it takes to look at the times of the sources. */
function ensureBuild() {
  const projects = readJson('tsconfig.json').references.map(({ path }) => path)
  const fingerprint = fingerprintOf(['tsconfig.json', 'tsconfig.base.json', 'package-lock.json', ...projects])
  const isBuilt = projects.every(path => existsSync(join(root, path, 'dist', '.tsbuildinfo')))
  if (isBuilt && existsSync(buildStamp) && readFileSync(buildStamp, 'utf8') === fingerprint) return
  // A build that is interrupted must not look finished.
  rmSync(buildStamp, { force: true })
  const { status, output } = run(process.execPath, [
    join(root, 'node_modules', 'typescript', 'bin', 'tsc'),
    '-b',
  ])
  if (status !== 0) throw new Error(`${output}\nThe build failed: see above.`)
  const bundling = run(process.execPath, [join(root, 'scripts', 'bundle.mjs')])
  if (bundling.status !== 0) throw new Error(`${bundling.output}\nThe build failed: see above.`)
  mkdirSync(join(root, '.cache'), { recursive: true })
  writeFileSync(buildStamp, fingerprint)
}

/** A hash over name, size and time of all TypeScript and JSON files below these paths. */
function fingerprintOf(paths) {
  const hash = createHash('sha256')
  const add = path => {
    const stat = statSync(join(root, path))
    if (stat.isDirectory()) {
      for (const name of readdirSync(join(root, path)).sort()) {
        if (name !== 'dist' && name !== 'node_modules' && name !== 'test') add(join(path, name))
      }
    } else if (/\.(m?ts|tsx|json)$/.test(path)) {
      hash.update(`${path} ${stat.size} ${stat.mtimeMs}\n`)
    }
  }
  for (const path of paths) add(path)
  return hash.digest('hex')
}

/** Tests run against a real Apache ZooKeeper as well: one that is there, or Debian's, installed now. */
async function ensureZooKeeper() {
  const { findZooKeeper } = await import(
    pathToFileURL(join(root, 'packages', 'testing', 'dist', 'index.js')).href
  )
  if (findZooKeeper() !== undefined) return
  const canInstall = process.getuid?.() === 0 && run('apt-get', ['--version']).status === 0
  if (canInstall) {
    console.log('Installing Apache ZooKeeper for the tests (apt-get) ...')
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    const update = run('apt-get', ['update'], { env })
    // The library package holds the whole server, and unlike `zookeeper` asks for no graphical Java.
    const packages = ['libzookeeper-java', 'default-jre-headless']
    const install = run('apt-get', ['install', '-y', '--no-install-recommends', ...packages], { env })
    if (findZooKeeper() !== undefined) return
    console.error(`${update.output}${install.output}`)
  }
  throw new Error(
    'The tests need Apache ZooKeeper and Java 11 or newer: install them (on Debian and Ubuntu `apt-get install ' +
      'zookeeper` as root; elsewhere unpack a release of ZooKeeper and set CONCLAVE_ZOOKEEPER_HOME to its folder), ' +
      'then run the command again.',
  )
}

/** Runs a program to its end; its output is kept for the case that it fails. */
function run(command, args, options = {}) {
  const child = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20, ...options })
  const failure = child.error === undefined ? '' : `${child.error.message}\n`
  return { status: child.status, output: `${child.stdout ?? ''}${child.stderr ?? ''}${failure}` }
}

function readJson(path) {
  return JSON.parse(readFileSync(path.startsWith(root) ? path : join(root, path), 'utf8'))
}
