import { nodeClock } from '@conclave/core'
import type { ServerAddress } from '@conclave/server'
import { askServer, type Asked } from './ask.ts'
import { findServer } from './find.ts'
import { savedSettings } from './settings.ts'

/** A server that does not answer within this time hangs, or is stopped. */
const ANSWER_TIMEOUT_MS = 5_000

/** What can be told of the server of a folder: plain data, ready for JSON. What is not known is missing. */
export interface ServerStatus extends Partial<Figures> {
  /**
   * `notListening`: there is a process, which reads its data, or is about to end. `notAnswering`: it listens, or did, and
   * does not answer.
   */
  readonly state: 'running' | 'notListening' | 'notAnswering' | 'stopped'
  readonly dataDir: string
  readonly pid?: number
  readonly host?: string
  readonly port?: number
  readonly startedAt?: string
  readonly uptimeMs?: number
}

/** What a server says of itself, as far as it may. */
interface Figures {
  /** `standalone`, or `read-only` while its disk takes no writes. */
  readonly mode: string | undefined
  readonly sessions: number | undefined
  readonly znodes: number | undefined
  /** In hexadecimal. */
  readonly zxid: string | undefined
}

/** Looks at the server of a folder, and asks it. `config` is that of the server, where the user names one. */
export async function serverStatus(folder: string, config: string | undefined): Promise<ServerStatus> {
  const found = await findServer(folder)
  if (found === undefined) return { state: 'stopped', dataDir: folder }
  const { identity, address } = found
  const { pid } = identity
  if (address === undefined) return { state: 'notListening', dataDir: folder, pid }
  const { host, port, startedAt } = address
  const settings = savedSettings(folder, address)
  const figures = await figuresOf(await howToAsk(address, config ?? settings?.config))
  return {
    state: figures === undefined ? 'notAnswering' : 'running',
    dataDir: folder,
    pid,
    host,
    port,
    startedAt,
    uptimeMs: Math.max(0, Math.round(nodeClock.wallMs() - Date.parse(startedAt))),
    ...figures,
  }
}

/** Where there is TLS alone a certificate may be asked for; the server's own comes from an authority that it knows. */
async function howToAsk(address: ServerAddress, config: string | undefined): Promise<Asked> {
  const { host, port, isSecure } = address
  if (isSecure === undefined || config === undefined) return address
  const { readZooCfgFile } = await import('@conclave/server')
  try {
    const source = readZooCfgFile(config).options.secure?.tls
    const tls = typeof source === 'function' ? source() : source
    return { host, port, isSecure, ...(tls !== undefined && { tls }) }
  } catch {
    // It is asked without one.
    return address
  }
}

/** `undefined` where it does not answer. */
async function figuresOf(asked: Asked): Promise<Figures | undefined> {
  let answers = ''
  try {
    // One after the other: the number of connections may be limited.
    for (const word of ['srvr', 'mntr', 'isro'])
      answers += `${await askServer(asked, word, ANSWER_TIMEOUT_MS)}\n`
  } catch {
    return undefined
  }
  const find = (pattern: RegExp): string | undefined => pattern.exec(answers)?.[1]
  const findNumber = (pattern: RegExp): number | undefined => {
    const text = find(pattern)
    return text === undefined ? undefined : Number(text)
  }
  return {
    mode: /^ro$/m.test(answers) ? 'read-only' : find(/^Mode: (.+)$/m),
    sessions: findNumber(/^zk_global_sessions\t(\d+)$/m),
    znodes: findNumber(/^Node count: (\d+)$/m),
    zxid: find(/^Zxid: (.+)$/m),
  }
}
