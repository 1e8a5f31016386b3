import type { Listener, Logger } from '@conclave/core'
import { COMMAND_NAMES, runCommand } from './admin-commands.ts'
import { DATA_COMMAND_NAMES, DataCommands, type DataActions } from './data-commands.ts'
import { figuresOf, prometheusPage } from './figures.ts'
import { jsonPage, notAllowed, servePages, type Page, type PageRequest } from './page-server.ts'
import type { ServerFacts } from './server-facts.ts'

/** Where pages are served over HTTP. */
export interface PageOptions {
  /** 0: any free one. */
  readonly port: number
  /** Default `127.0.0.1`. */
  readonly host?: string
}

export interface AdminOptions extends PageOptions {
  /** The path of the commands. Default `/commands`. */
  readonly commandPath?: string
  /** Whether there is the command `snapshot`. Whom it is for is told in docs/server.md. Default `true`. */
  readonly snapshotEnabled?: boolean
  /** Whether there is the command `restore`. Default `true`. */
  readonly restoreEnabled?: boolean
  /** How long it is, in milliseconds, from one `snapshot` or `restore` to the next. Default 300,000. */
  readonly rateLimitMs?: number
}

const HTML_TYPE = 'text/html; charset=utf-8'
const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Serves the commands as JSON and the metrics, from what `facts` tells when it is asked. */
export function serveAdmin(
  options: AdminOptions,
  facts: () => ServerFacts | undefined,
  { logger, actions }: { readonly logger: Logger; readonly actions: DataActions },
): Promise<Listener> {
  const { port, host = '127.0.0.1', commandPath = '/commands' } = options
  const prefix = `${commandPath}/`
  const dataCommands = new DataCommands(options, actions, logger)
  return servePages({ host, port }, logger, request => {
    const { path } = request
    if (path === commandPath || path === prefix) return Promise.resolve(listOfCommands(commandPath))
    if (!path.startsWith(prefix)) return metricsPage(request, facts)
    const name = path.slice(prefix.length)
    return dataCommands.run(name, request, facts()) ?? commandPage(name, request, facts())
  })
}

/** Serves the metrics alone. */
export function serveMetrics(
  { port, host = '127.0.0.1' }: PageOptions,
  facts: () => ServerFacts | undefined,
  logger: Logger,
): Promise<Listener> {
  return servePages({ host, port }, logger, request => metricsPage(request, facts))
}

function listOfCommands(commandPath: string): Page {
  const names = [...COMMAND_NAMES, ...DATA_COMMAND_NAMES].sort()
  const links = names.map(name => `<a href="${commandPath}/${name}">${name}</a>\n<br/>\n`)
  return { type: HTML_TYPE, body: links.join('') }
}

async function commandPage(
  name: string,
  { method, query }: PageRequest,
  facts: ServerFacts | undefined,
): Promise<Page> {
  return method === 'POST' ? notAllowed('GET, HEAD') : jsonPage(await runCommand(name, query, facts))
}

function metricsPage(
  { path, method }: PageRequest,
  facts: () => ServerFacts | undefined,
): Promise<Page> | undefined {
  if (path !== '/metrics') return undefined
  if (method === 'POST') return Promise.resolve(notAllowed('GET, HEAD'))
  const present = facts()
  const figures = present === undefined ? Promise.resolve([]) : figuresOf(present)
  return figures.then(all => ({ type: PROMETHEUS_TYPE, body: prometheusPage(all) }))
}
