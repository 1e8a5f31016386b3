/**
 * A module of this package for a process or thread of its own: always the built one, also where this code runs from
 * its sources, because Node.js 20 cannot run those.
 */
export function builtModule(name: string): URL {
  return new URL(`../dist/${name}.js`, import.meta.url)
}
