import { codeOf, type Disk, type ProcessIdentity } from '@conclave/core'

/** Which process is the server of a data folder, and where it is found. */
export interface ServerAddress extends ProcessIdentity {
  readonly host: string
  readonly port: number
  readonly startedAt: string
  /** Whether that port takes TLS alone. */
  readonly isSecure?: true
}

/** The name of the address file in a data folder. */
export const ADDRESS_FILE = 'conclave-server.json'

/** Tells other processes where the server of this folder listens. Replaced as a whole, so nobody reads half of it. */
export async function writeAddressFile(disk: Disk, folder: string, address: ServerAddress): Promise<void> {
  const temporary = `${folder}/${ADDRESS_FILE}.tmp`
  const file = await disk.open(temporary, 'create-or-open')
  await file.truncate(0)
  await file.write(Buffer.from(JSON.stringify(address) + '\n'), 0)
  await file.close()
  await disk.rename(temporary, `${folder}/${ADDRESS_FILE}`)
}

/** Removes it at a graceful end. */
export async function removeAddressFile(disk: Disk, folder: string): Promise<void> {
  try {
    await disk.remove(`${folder}/${ADDRESS_FILE}`)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
}
