import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'

/**
 * Where the embedded server of a project keeps its data when nobody says: a folder of its own below the user's data
 * directory (`XDG_DATA_HOME`, by default `~/.local/share`). The project is the nearest folder, from `from` upward,
 * with a `package.json`, or `from` itself.
 */
export function defaultDataFolder(
  from: string = process.cwd(),
  env: NodeJS.ProcessEnv = process.env,
): string {
  const project = projectFolder(resolve(from))
  const hash = createHash('sha256').update(project).digest('hex').slice(0, 8)
  const dataHome = env.XDG_DATA_HOME || join(homedir(), '.local', 'share')
  return join(dataHome, 'conclave', `${projectName(project)}-${hash}`)
}

function projectFolder(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder
    if (folder === dirname(folder)) return from
  }
}

/** The name in `package.json`, or that of the folder, made fit for a file name. */
function projectName(project: string): string {
  let name: unknown
  try {
    name = (JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as { name?: unknown }).name
  } catch {
    // No package.json, or one that is not JSON: the folder has a name too.
  }
  const readable = typeof name === 'string' && name !== '' ? name : basename(project)
  return readable.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[.-]+/, '') || 'project'
}
