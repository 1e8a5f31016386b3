// A configuration is read before there is a server to be simulated, and often by somebody who may not write it.
// oxlint-disable-next-line eslint/no-restricted-imports -- as just said
import { readFileSync } from 'node:fs'

/** The text of a file that is read at the start, or where the server takes a new certificate. */
export function readConfigFile(path: string): string {
  return readFileSync(path, 'utf8')
}
