import { UsageError } from '@conclave/core'

/**
 * The users and passwords that a section of a JAAS file gives to `DigestLoginModule` (`user_bob="secret"`). Throws
 * `UsageError` where there is no such section, or it does not end.
 */
export function readJaasUsers(text: string, section: string): Readonly<Record<string, string>> {
  const plain = text.replace(
    /("(?:[^"\\]|\\.)*")|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (_comment, quoted?: string) => quoted ?? '',
  )
  const start = new RegExp(`(?:^|[\\s;])${section.replace(/\W/g, '\\$&')}\\s*\\{`).exec(plain)
  if (start === null) throw new UsageError(`the JAAS configuration has no section ${section}`)
  const body = /^((?:"(?:[^"\\]|\\.)*"|[^"}])*)\}/.exec(plain.slice(start.index + start[0].length))?.[1]
  if (body === undefined) throw new UsageError(`section ${section} of the JAAS configuration does not end`)
  const users = body.matchAll(/\buser_([^\s="]+)\s*=\s*"((?:[^"\\]|\\.)*)"/g)
  return Object.fromEntries(
    [...users].map(([, name, password]) => [name!, password!.replace(/\\(.)/g, '$1')]),
  )
}
