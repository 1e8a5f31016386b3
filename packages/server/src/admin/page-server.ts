// The pages are served to people and monitors beside the protocol, over connections that no simulation has.
// oxlint-disable-next-line eslint/no-restricted-imports -- as just said
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { listenWith, type Endpoint, type Listener, type Logger } from '@conclave/core'

/** Somebody asks for a page. */
export interface PageRequest {
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly path: string
  readonly query: URLSearchParams
  /** The header of that name. */
  readonly authorization: string | undefined
  /** Where the request comes from. */
  readonly address: string
  /** What was sent with it. */
  readonly body: AsyncIterable<Uint8Array>
}

/** An answer. */
export interface Page {
  /** Default 200. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly type: string
  readonly body: string | AsyncIterable<Uint8Array>
  /** Called when the body was sent, or never will be. */
  readonly close?: () => Promise<void>
}

/** Finds the page, if there is one. */
export type Route = (request: PageRequest) => Promise<Page> | undefined

const JSON_TYPE = 'application/json'
const NOT_ALLOWED = 405
const NOT_FOUND = 404

/** Fields as JSON. 64-bit numbers stand as such, as Java writes them. */
export function jsonPage(value: unknown, rest: Pick<Page, 'status' | 'headers'> = {}): Page {
  return { ...rest, type: JSON_TYPE, body: toJson(value) }
}

/** To a request by another method than `allowed`. */
export function notAllowed(allowed: string): Page {
  return { status: NOT_ALLOWED, headers: { allow: allowed }, type: 'text/plain', body: '' }
}

/** No text can look like the mark: it would have to hold a NUL. */
function toJson(value: unknown): string {
  const marked = JSON.stringify(
    value,
    (_key, field: unknown) => (typeof field === 'bigint' ? `\0${field}` : field),
    2,
  )
  return marked.replace(/"\\u0000(-?\d+)"/g, '$1')
}

/** Serves what the route finds. */
export async function servePages(endpoint: Endpoint, logger: Logger, route: Route): Promise<Listener> {
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
  const { method, headers, socket } = request
  if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') {
    response.writeHead(NOT_ALLOWED, { allow: 'GET, HEAD, POST' }).end()
    return
  }
  const [path = '/', query = ''] = (request.url ?? '/').split('?', 2)
  const page = await route({
    method,
    path,
    query: new URLSearchParams(query),
    authorization: headers.authorization,
    address: (socket.remoteAddress ?? '').replace(/^::ffff:/, ''),
    body: request as AsyncIterable<Uint8Array>,
  })
  if (page === undefined) {
    response.writeHead(NOT_FOUND).end()
    return
  }
  const { status = 200, type, body } = page
  if (typeof body !== 'string') {
    response.writeHead(status, { ...page.headers, 'content-type': type })
    try {
      return await pipeline(Readable.from(body), response)
    } finally {
      await page.close?.()
    }
  }
  const bytes = Buffer.from(body)
  response.writeHead(status, { ...page.headers, 'content-type': type, 'content-length': bytes.length })
  response.end(method === 'HEAD' ? undefined : bytes)
}
