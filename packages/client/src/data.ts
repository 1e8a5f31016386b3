/** What can be stored in a znode: bytes, a string (as UTF-8), or `null`, which is not the same as empty. */
export type Data = Uint8Array | string | null

export function toBytes(data: Data): Uint8Array | null {
  return typeof data === 'string' ? Buffer.from(data) : data
}
