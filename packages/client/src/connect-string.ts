import { UsageError, type Endpoint } from '@conclave/core'

/** ZooKeeper's usual client port. */
export const DEFAULT_PORT = 2181

/** A connect string in its parts. */
export interface ConnectString {
  readonly endpoints: readonly Endpoint[]
  /** `/` where none is given. */
  readonly chroot: string
}

/** Reads `host:port,host:port/chroot`. The port may be left out; an IPv6 address with a port stands in brackets. */
export function parseConnectString(text: string): ConnectString {
  const slash = text.indexOf('/')
  const hosts = slash === -1 ? text : text.slice(0, slash)
  const chroot = slash === -1 ? '/' : text.slice(slash)
  const endpoints = hosts
    .split(',')
    .map(host => host.trim())
    .filter(host => host !== '')
    .map(host => parseEndpoint(host, text))
  if (endpoints.length === 0) throw new UsageError(`connect string ${JSON.stringify(text)} names no server`)
  return { endpoints, chroot }
}

function parseEndpoint(text: string, whole: string): Endpoint {
  const match = /^\[([^\]]+)\](?::(\d+))?$/.exec(text) ?? /^([^:\s]+)(?::(\d+))?$/.exec(text)
  // Two colons or more and no brackets: an IPv6 address without a port.
  if (match === null && /^[0-9a-f:.%]+$/i.test(text) && text.split(':').length > 2) {
    return { host: text, port: DEFAULT_PORT }
  }
  const port = Number(match?.[2] ?? DEFAULT_PORT)
  if (match === null || port < 1 || port > 65_535) {
    const where = text === whole ? '' : ` in ${JSON.stringify(whole)}`
    throw new UsageError(`${JSON.stringify(text)}${where} is not host:port`)
  }
  return { host: match[1]!, port }
}
