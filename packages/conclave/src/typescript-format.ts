import type { ResolveHook } from 'node:module'

/**
 * Takes a `.ts` file for an ES module although no `package.json` near it says so: that is what people write, and a
 * module read as CommonJS would hide its functions.
 */
export const resolve: ResolveHook = async (specifier, context, nextResolve) => {
  const resolved = await nextResolve(specifier, context)
  const isModule = resolved.format === 'commonjs' && /\.tsx?(\?|$)/.test(resolved.url)
  return isModule ? { ...resolved, format: 'module' } : resolved
}
