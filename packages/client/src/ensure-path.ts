import { parentPath } from '@conclave/protocol'
import { NodeExistsError, NoNodeError } from './server-errors.ts'

/** The two calls that it takes, on paths without a chroot. */
export interface Tree {
  exists(path: string): Promise<boolean>
  create(path: string): Promise<unknown>
}

/** Makes a persistent znode and those above it. Looks first: usually everything is there. */
export async function ensurePath(tree: Tree, path: string): Promise<void> {
  if (path === '/' || (await tree.exists(path))) return
  try {
    await tree.create(path)
  } catch (error) {
    if (error instanceof NodeExistsError) return
    if (!(error instanceof NoNodeError)) throw error
    await ensurePath(tree, parentPath(path))
    await ensurePath(tree, path)
  }
}
