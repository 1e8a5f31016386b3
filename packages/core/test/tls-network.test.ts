import { eventually, testCertificates } from '@conclave/testing'
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import {
  deferred,
  listenUnified,
  nodeNetwork,
  tlsNetwork,
  type Connection,
  type Endpoint,
  type Listener,
  type TlsOptions,
  type TlsSource,
} from '../src/index.ts'

const { authority, stranger, server, client, elsewhere } = testCertificates()
const trusting: TlsOptions = { ca: authority.cert }

let listeners: Listener[] = []
let connections: Connection[] = []

afterEach(async () => {
  for (const connection of connections) connection.destroy()
  await Promise.all(listeners.map(listener => listener.close()))
  listeners = []
  connections = []
})

/** Listens, and answers each connection with who it has proven to be. */
async function listen(source: TlsSource): Promise<Endpoint> {
  const listener = await tlsNetwork(source).listen({ host: '127.0.0.1', port: 0 }, connection => {
    connections.push(connection)
    connection.start({ onData: () => {}, onClose: () => {} })
    connection.write(Buffer.from(connection.peer?.distinguishedName ?? 'nobody'))
  })
  listeners.push(listener)
  return listener.endpoint
}

/** What the server says; rejects with the reason why there is no connection. */
function ask(source: TlsSource, endpoint: Endpoint): Promise<string> {
  const answer = deferred<string>()
  const connection = tlsNetwork(source).connect(endpoint)
  connections.push(connection)
  connection.start({
    onConnect: () => {},
    onData: bytes => answer.resolve(bytes.toString()),
    onClose: error => answer.reject(error ?? new Error('closed')),
  })
  return answer.promise
}

describe('tls network', () => {
  const LISTENERS = {
    'TLS alone': (onConnection: (connection: Connection) => void): Promise<Listener> =>
      tlsNetwork({ ...server }).listen({ host: '127.0.0.1', port: 0 }, onConnection),
    'TLS and plain': (onConnection: (connection: Connection) => void): Promise<Listener> =>
      listenUnified({ ...server }, { host: '127.0.0.1', port: 0 }, onConnection),
  }
  it.each(Object.entries(LISTENERS))(
    'close - does not wait for who is stuck in the handshake, and leaves the others (%s)',
    async (_name, listenOn) => {
      const accepted: Connection[] = []
      const listener = await listenOn(connection => {
        accepted.push(connection)
        connection.start({ onData: bytes => connection.write(bytes), onClose: () => {} })
        connection.write(Buffer.from('welcome'))
      })
      const stuck = connect(listener.endpoint)
      const gone = once(stuck, 'close')
      // The beginning of a handshake, and no more.
      stuck.on('error', () => {}).write(Buffer.from([22, 3, 1]))
      const answers: string[] = []
      const other = tlsNetwork(trusting).connect(listener.endpoint)
      const answered = deferred()
      other.start({
        onData: bytes => {
          answers.push(bytes.toString())
          answered.resolve()
        },
        onClose: () => {},
      })
      await answered.promise
      const closed = listener.close()
      await gone
      expect(accepted).toHaveLength(1)
      other.write(Buffer.from('still here'))
      await eventually(() => answers.join(' ') === 'welcome still here')
      other.destroy()
      await closed
    },
    // A handshake may take ten seconds.
    5_000,
  )

  it('a trusted server for the right address or name - is talked to', async () => {
    const endpoint = await listen({ ...server })
    expect(await ask(trusting, endpoint)).toBe('nobody')
    expect(await ask(trusting, { ...endpoint, name: 'localhost' })).toBe('nobody')
  })

  it('a server of another authority - is not', async () => {
    const endpoint = await listen({ ...server })
    await expect(ask({ ca: stranger.cert }, endpoint)).rejects.toMatchObject({
      code: expect.stringMatching(/CERT|ISSUER|LEAF/),
    })
    await expect(ask({}, endpoint)).rejects.toMatchObject({ code: expect.stringMatching(/CERT|ISSUER|LEAF/) })
  })

  it('a server of another name - is not, unless names do not matter', async () => {
    const endpoint = await listen({ ...elsewhere })
    await expect(ask(trusting, endpoint)).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
    expect(await ask({ ...trusting, verifyHostname: false }, endpoint)).toBe('nobody')
    expect(await ask(trusting, { ...endpoint, name: 'elsewhere.example' })).toBe('nobody')
  })

  it('a client with a certificate - is known by its name', async () => {
    const endpoint = await listen({ ...server, ca: authority.cert, clientAuth: 'require' })
    expect(await ask({ ...trusting, ...client }, endpoint)).toBe('CN=client,O=Conclave')
  })

  it('a client without, or with a foreign certificate - is refused where one is required, unknown where not', async () => {
    const required = await listen({ ...server, ca: authority.cert, clientAuth: 'require' })
    await expect(ask(trusting, required)).rejects.toThrow()
    await expect(ask({ ...trusting, ...stranger }, required)).rejects.toThrow()
    const requested = await listen({ ...server, ca: authority.cert, clientAuth: 'request' })
    expect(await ask(trusting, requested)).toBe('nobody')
    expect(await ask({ ...trusting, ...stranger }, requested)).toBe('nobody')
  })

  it('renewed certificates - are used from the next connection on, on both sides', async () => {
    let current: TlsOptions = { ...elsewhere }
    const endpoint = await listen(() => current)
    await expect(ask(trusting, endpoint)).rejects.toThrow()
    current = { ...server }
    let trusted: TlsOptions = { ca: stranger.cert }
    const source = (): TlsOptions => trusted
    await expect(ask(source, endpoint)).rejects.toThrow()
    trusted = trusting
    expect(await ask(source, endpoint)).toBe('nobody')
  })

  it('a renewal that fails - leaves the certificates as they were, and is told once until one succeeds', async () => {
    const failures: string[] = []
    let source = (): TlsOptions => ({ ...server })
    const network = tlsNetwork(
      () => source(),
      error => failures.push(String(error)),
    )
    const listener = await network.listen({ host: '127.0.0.1', port: 0 }, connection => {
      connections.push(connection)
      connection.start({ onData: () => {}, onClose: () => {} })
      connection.write(Buffer.from('welcome'))
    })
    listeners.push(listener)
    expect(await ask(trusting, listener.endpoint)).toBe('welcome')
    const half = server.cert.slice(0, server.cert.length / 2)
    const unusable: (TlsOptions | Error)[] = [
      { ...server, cert: '' },
      { ...server, cert: half },
      { ...server, key: '' },
      { ...server, key: elsewhere.key },
      { ...server, ca: '' },
      { ...server, ca: 'none' },
      { ...server, ca: authority.cert + half },
      new Error('no such file'),
    ]
    for (const each of unusable) {
      source = () => {
        if (each instanceof Error) throw each
        return each
      }
      expect(await ask(trusting, listener.endpoint)).toBe('welcome')
    }
    expect(failures).toHaveLength(1)
    // Whole again, in one file for both.
    const both = `${elsewhere.key}\n${elsewhere.cert}`
    source = () => ({ ...elsewhere, cert: both, key: both, ca: `${authority.cert}\n${stranger.cert}` })
    await expect(ask(trusting, listener.endpoint)).rejects.toThrow()
    source = () => {
      throw new Error('no such file')
    }
    await expect(ask(trusting, listener.endpoint)).rejects.toThrow()
    expect(failures).toEqual([failures[0], 'Error: no such file'])
  })

  it.each([nodeNetwork, tlsNetwork(trusting)])(
    'a port that cannot be one - is told as any connection that fails',
    async network => {
      const closed = deferred<Error | undefined>()
      const connection = network.connect({ host: '127.0.0.1', port: 70_000 })
      connection.start({ onData: () => {}, onClose: error => closed.resolve(error) })
      expect(await closed.promise).toMatchObject({ code: 'ERR_SOCKET_BAD_PORT' })
    },
  )

  it('a certificate that is none - fails the connection that would show it, not the program', async () => {
    const endpoint = await listen({ ...server })
    await expect(ask({ ...trusting, cert: 'none' }, endpoint)).rejects.toThrow()
  })

  it('a plain client at a TLS port - is cut off, and costs nobody else anything', async () => {
    const endpoint = await listen({ ...server })
    const closed = deferred<void>()
    const connection = nodeNetwork.connect(endpoint)
    connection.start({
      onConnect: () => connection.write(Buffer.from('GET / HTTP/1.1\r\n\r\n')),
      onData: () => {},
      onClose: () => closed.resolve(),
    })
    await closed.promise
    expect(await ask(trusting, endpoint)).toBe('nobody')
  })
})
