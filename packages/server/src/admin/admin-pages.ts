// The pages are served to people and monitors beside the protocol, over connections that no simulation has.
// oxlint-disable-next-line eslint/no-restricted-imports -- as just said
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { listenWith, type Endpoint, type Listener, type Logger } from '@conclave/core'
import { COMMAND_NAMES, runCommand } from './admin-commands.ts'
import { figuresOf, prometheusPage } from './figures.ts'
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
}

/** A page: its type and text. */
type Page = { readonly type: string; readonly text: string }
type Route = (path: string) => Promise<Page> | undefined

const JSON_TYPE = 'application/json'
const HTML_TYPE = 'text/html; charset=utf-8'
const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'
const NOT_ALLOWED = 405
const NOT_FOUND = 404

/** Serves the commands as JSON and the metrics, from what `facts` tells when it is asked. */
export function serveAdmin(
  { port, host = '127.0.0.1', commandPath = '/commands' }: AdminOptions,
  facts: () => ServerFacts | undefined,
  logger: Logger,
): Promise<Listener> {
  const prefix = `${commandPath}/`
  return servePages({ host, port }, logger, path => {
    if (path === commandPath || path === prefix) return Promise.resolve(listOfCommands(commandPath))
    return path.startsWith(prefix)
      ? commandPage(path.slice(prefix.length), facts())
      : metricsPage(path, facts)
  })
}

/** Serves the metrics alone. */
export function serveMetrics(
  { port, host = '127.0.0.1' }: PageOptions,
  facts: () => ServerFacts | undefined,
  logger: Logger,
): Promise<Listener> {
  return servePages({ host, port }, logger, path => metricsPage(path, facts))
}

function listOfCommands(commandPath: string): Page {
  const links = COMMAND_NAMES.map(name => `<a href="${commandPath}/${name}">${name}</a>\n<br/>\n`)
  return { type: HTML_TYPE, text: links.join('') }
}

async function commandPage(name: string, facts: ServerFacts | undefined): Promise<Page> {
  return { type: JSON_TYPE, text: toJson(await runCommand(name, facts)) }
}

function metricsPage(path: string, facts: () => ServerFacts | undefined): Promise<Page> | undefined {
  if (path !== '/metrics') return undefined
  const present = facts()
  const figures = present === undefined ? Promise.resolve([]) : figuresOf(present)
  return figures.then(all => ({ type: PROMETHEUS_TYPE, text: prometheusPage(all) }))
}

/** 64-bit numbers stand as such, as Java writes them. (No text can look like the mark: it would have to hold a NUL.) */
function toJson(value: unknown): string {
  const marked = JSON.stringify(
    value,
    (_key, field: unknown) => (typeof field === 'bigint' ? `\0${field}` : field),
    2,
  )
  return marked.replace(/"\\u0000(-?\d+)"/g, '$1')
}

async function servePages(endpoint: Endpoint, logger: Logger, route: Route): Promise<Listener> {
  const server = createServer((request, response) => {
    answer(request, response, route).catch((error: unknown) => {
      logger.log('error', 'a page could not be made', { url: request.url, error })
      response.destroy()
    })
  })
  const listener = await listenWith(server, endpoint)
  return {
    endpoint: listener.endpoint,
    close() {
      const closed = listener.close()
      server.closeAllConnections()
      return closed
    },
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, route: Route): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(NOT_ALLOWED, { allow: 'GET, HEAD' }).end()
    return
  }
  const page = await route((request.url ?? '/').split('?', 1)[0]!)
  if (page === undefined) {
    response.writeHead(NOT_FOUND).end()
    return
  }
  const body = Buffer.from(page.text)
  response.writeHead(200, { 'content-type': page.type, 'content-length': body.length })
  response.end(request.method === 'HEAD' ? undefined : body)
}
