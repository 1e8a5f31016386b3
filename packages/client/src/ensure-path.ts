import { parentPath } from '@conclave/protocol'
import type { CreateOptions, ZooKeeper } from './client.ts'
import { NodeExistsError, NoNodeError } from './server-errors.ts'

/** Makes a persistent znode and those above it. Tries the znode itself first: usually only it is missing, or nothing. */
export async function ensurePath(
  zk: Pick<ZooKeeper, 'create' | 'exists'>,
  path: string,
  options: Omit<CreateOptions, 'mode' | 'ttlMs'>,
): Promise<void> {
  if (path === '/' || (await zk.exists(path, { signal: options.signal })) !== null) return
  try {
    await zk.create(path, null, options)
  } catch (error) {
    if (error instanceof NodeExistsError) return
    if (!(error instanceof NoNodeError)) throw error
    await ensurePath(zk, parentPath(path), options)
    await ensurePath(zk, path, options)
  }
}
