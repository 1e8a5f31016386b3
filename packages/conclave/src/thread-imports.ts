import { builtModule } from './built-module.ts'

/**
 * What the task threads must import before these modules: a loader where one of them is TypeScript. It is the same
 * on every version of Node.js, so that a module that works on one works on all: those that strip types themselves
 * know neither enums nor imports of './x.js' that mean './x.ts'.
 */
export function threadImportsFor(modules: readonly URL[]): string[] {
  const hasTypeScript = modules.some(module => /\.[cm]?tsx?$/.test(module.pathname))
  return hasTypeScript ? [builtModule('typescript-loader').href] : []
}
