import type { Disk } from '@conclave/core'

/** All bytes of a file. */
export async function readFile(disk: Disk, path: string): Promise<Buffer> {
  const file = await disk.open(path, 'existing')
  try {
    const bytes = Buffer.allocUnsafeSlow(await file.sizeBytes())
    return bytes.subarray(0, await file.read(bytes, 0))
  } finally {
    await file.close()
  }
}
