import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { deferred, nodePlatform, type Endpoint, type Listener } from '@conclave/core'
import { afterEach, describe, expect, it } from 'vitest'
import { LeaderLink, type LeaderLinkHandler, type WorkerIntroduction } from '../src/link/leader-link.ts'
import { LinkError } from '../src/link/link.ts'
import { WorkerLink, type WorkerLinkHandler } from '../src/link/worker-link.ts'
import { isProof, prove, type Transcript } from '../src/link/proof.ts'

const secret = Buffer.from('the secret of the cluster')
const introduction: WorkerIntroduction = {
  incarnation: 'i1',
  slots: 2,
  tasks: ['tasks#count'],
  held: [{ jobId: 'j', items: [[3, 1]] }],
}

let listener: Listener | undefined
let openLink: { close(): void } | undefined

afterEach(async () => {
  openLink?.close()
  await listener?.close()
})

async function listenAsWorker(
  handler: Partial<WorkerLinkHandler>,
  workerSecret: Uint8Array = secret,
): Promise<Endpoint> {
  listener = await nodePlatform.network.listen({ host: '127.0.0.1', port: 0 }, connection => {
    new WorkerLink(
      { ...nodePlatform, connection, secret: workerSecret, workerId: 'w1' },
      { onLeader: () => introduction, onOpen: () => {}, onMessage: () => {}, onClose: () => {}, ...handler },
    )
  })
  return listener.endpoint
}

function linkTo(
  endpoint: Endpoint,
  handler: Partial<LeaderLinkHandler>,
  leaderSecret: Uint8Array = secret,
): LeaderLink {
  const options = {
    ...nodePlatform,
    endpoint,
    secret: leaderSecret,
    leaderId: 'n1',
    workerId: 'w1',
    fencingToken: 7n,
  }
  const link = new LeaderLink(options, {
    onOpen: () => {},
    onMessage: () => {},
    onClose: () => {},
    ...handler,
  })
  openLink = link
  return link
}

describe('link', () => {
  it('both sides know the secret - the worker learns the token, the leader what is held', async () => {
    const leader = deferred<unknown>()
    const opened = deferred<WorkerIntroduction>()
    const endpoint = await listenAsWorker({
      onLeader: shown => {
        leader.resolve(shown)
        return introduction
      },
    })
    linkTo(endpoint, { onOpen: opened.resolve })
    expect(await leader.promise).toEqual({ leaderId: 'n1', fencingToken: 7n })
    expect(await opened.promise).toEqual(introduction)
  })

  it('messages - carry their lines unparsed, in both directions', async () => {
    const atWorker = deferred<unknown>()
    const atLeader = deferred<unknown>()
    const opened = deferred<void>()
    const workers: WorkerLink[] = []
    listener = await nodePlatform.network.listen({ host: '127.0.0.1', port: 0 }, connection => {
      workers.push(
        new WorkerLink(
          { ...nodePlatform, connection, secret, workerId: 'w1' },
          {
            onLeader: () => introduction,
            // Right behind the welcome: both can arrive in one chunk.
            onOpen: () =>
              workers[0]!.send({ type: 'results', jobId: 'j', items: [[1, 1, 'succeeded', 0.5]] }, ['"x"']),
            onMessage: (message, lines) => atWorker.resolve([message, lines]),
            onClose: () => {},
          },
        ),
      )
    })
    const link = linkTo(listener.endpoint, {
      onOpen: () => opened.resolve(),
      onMessage: (message, lines) => atLeader.resolve([message, lines]),
    })
    await opened.promise
    link.send({ type: 'assign', jobId: 'j', task: 't', items: [[4, 1]] }, ['{"not": "parsed"}'])
    expect(await atWorker.promise).toEqual([
      { type: 'assign', jobId: 'j', task: 't', items: [[4, 1]] },
      ['{"not": "parsed"}'],
    ])
    expect(await atLeader.promise).toEqual([
      { type: 'results', jobId: 'j', items: [[1, 1, 'succeeded', 0.5]] },
      ['"x"'],
    ])
  })

  it('a worker that holds very much - is linked all the same', async () => {
    const items = Array.from({ length: 50_000 }, (_, index) => [index, 1] as const)
    const held = [{ jobId: 'j', items }]
    const opened = deferred<WorkerIntroduction>()
    const endpoint = await listenAsWorker({ onLeader: () => ({ ...introduction, held }) })
    linkTo(endpoint, { onOpen: opened.resolve, onClose: opened.reject })
    expect((await opened.promise).held).toEqual(held)
  })

  it('a leader with another secret - is refused, and told nothing', async () => {
    const closed = deferred<Error | undefined>()
    const endpoint = await listenAsWorker({
      onLeader: () => {
        throw new Error('it was let in')
      },
    })
    linkTo(
      endpoint,
      { onOpen: () => closed.reject(new Error('opened')), onClose: closed.resolve },
      Buffer.from('guess'),
    )
    expect(await closed.promise).toBeInstanceOf(LinkError)
  })

  it('a worker with another secret - gets no work', async () => {
    const closed = deferred<Error | undefined>()
    const endpoint = await listenAsWorker({}, Buffer.from('guess'))
    linkTo(endpoint, { onOpen: () => closed.reject(new Error('opened')), onClose: closed.resolve })
    expect((await closed.promise)?.message).toContain('refused')
  })

  it('an impostor that replays what it hears - cannot prove itself as a worker', () => {
    const transcript: Transcript = {
      workerNonce: 'a',
      leaderNonce: 'b',
      workerId: 'w',
      leaderId: 'l',
      fencingToken: '1',
    }
    const proofOfLeader = prove(secret, 'leader', transcript)
    expect(isProof(proofOfLeader, secret, 'worker', transcript)).toBe(false)
    expect(isProof(proofOfLeader, secret, 'leader', transcript)).toBe(true)
    expect(isProof(proofOfLeader, secret, 'leader', { ...transcript, fencingToken: '2' })).toBe(false)
    expect(isProof('', secret, 'leader', transcript)).toBe(false)
  })

  it('a deposed leader - is told why it is refused', async () => {
    const closed = deferred<Error | undefined>()
    const endpoint = await listenAsWorker({
      onLeader: () => {
        throw new LinkError('a leader with a higher token has been here')
      },
    })
    linkTo(endpoint, { onClose: closed.resolve })
    expect((await closed.promise)?.message).toContain('a leader with a higher token has been here')
  })

  it.each([
    ['a huge frame', Buffer.from([0x7f, 0xff, 0xff, 0xff])],
    ['a negative length', Buffer.from([0xff, 0xff, 0xff, 0xff])],
    ['no JSON', Buffer.from('\u0000\u0000\u0000\u0003abc')],
    ['JSON that is no message', Buffer.from('\u0000\u0000\u0000\u0004null')],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ])('%s from a stranger - ends that connection and nothing else', async (_what, bytes) => {
    const closed = deferred<Error | undefined>()
    const endpoint = await listenAsWorker({ onClose: closed.resolve })
    const socket: Socket = connect(endpoint)
    socket.write(bytes)
    expect(await closed.promise).toBeInstanceOf(Error)
    socket.resume()
    await once(socket, 'close')
  })
})
