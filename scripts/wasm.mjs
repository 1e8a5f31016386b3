// Makes `adler32-code.ts` of `adler32.wat`, so that the server needs no file but its modules. To be run when that changes; a
// test sees whether it was.

import { readFileSync, writeFileSync } from 'node:fs'
import wabt from 'wabt'

const folder = new URL('../packages/server/src/storage/checksum/', import.meta.url)
const source = readFileSync(new URL('adler32.wat', folder), 'utf8')
const { parseWat } = await wabt()
const { buffer } = parseWat('adler32.wat', source, { threads: true, simd: true }).toBinary({})
const base64 = Buffer.from(buffer).toString('base64')
writeFileSync(
  new URL('adler32-code.ts', folder),
  `/** \`adler32.wat\` as WebAssembly, in Base64. */\nexport const ADLER32_CODE =\n  '${base64}'\n`,
)
