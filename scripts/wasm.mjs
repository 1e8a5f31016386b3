// Makes `adler32-code.ts` of `adler32.wat`, so that the server needs no file but its modules. To be run when that changes; a
// test sees whether it was.

import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import wabt from 'wabt'

const folder = new URL('../packages/server/src/storage/checksum/', import.meta.url)
const code = new URL('adler32-code.ts', folder)

/** What `adler32-code.ts` should be. */
export async function codeOfAdler32() {
  const { parseWat } = await wabt()
  const source = new URL('adler32.wat', folder)
  const module = parseWat(fileURLToPath(source), readFileSync(source, 'utf8'), { threads: true, simd: true })
  const base64 = Buffer.from(module.toBinary({}).buffer).toString('base64')
  return `/** \`adler32.wat\` as WebAssembly, in Base64. */\nexport const ADLER32_CODE =\n  '${base64}'\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(code, await codeOfAdler32())
