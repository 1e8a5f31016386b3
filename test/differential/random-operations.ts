import * as ops from '@conclave/protocol'
import type { Acl, MultiOp, Operation } from '@conclave/protocol'

/** A request of some session, ready to be sent to any server. */
export interface RandomOperation {
  readonly session: number
  readonly operation: Operation<unknown, unknown>
  readonly request: unknown
}

/** Numbers that follow from a seed. (Mulberry32) */
export class SeededRandom {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % bound
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!
  }
}

const NAMES = ['a', 'b', 'c', 'lock-']
const ODD_PATHS = [
  '',
  '/',
  'a',
  '/a/',
  '//a',
  '/a//b',
  '/./a',
  '/a/..',
  '/a\u0000',
  '/é',
  '/a\u0001',
  '/zookeeper',
  '/zookeeper/config',
  '/zookeeper/quota',
]
const DATA: readonly (Buffer | null)[] = [null, Buffer.alloc(0), Buffer.from('x'), Buffer.alloc(300, 'y')]
const OPEN: readonly Acl[] = ops.OPEN_ACL
/** What everybody may read, or no server takes. */
const READABLE_ACLS: readonly (readonly Acl[])[] = [
  OPEN,
  OPEN,
  OPEN,
  OPEN,
  ops.READ_ACL,
  [],
  [{ perms: 31, scheme: 'unknown', id: 'x' }],
  [{ perms: 31, scheme: 'digest', id: 'nocolon' }],
  [{ perms: 31, scheme: 'ip', id: '127.0.0.0/8' }],
  [{ perms: 31, scheme: 'ip', id: 'nowhere' }],
  [{ perms: 31, scheme: 'world', id: 'nobody' }],
  [OPEN[0]!, OPEN[0]!],
  [
    { perms: 1, scheme: 'world', id: 'anyone' },
    { perms: 30, scheme: 'ip', id: '127.0.0.1' },
  ],
]

/** What hides a znode from some or all. */
const HIDING_ACLS: readonly (readonly Acl[])[] = [
  OPEN,
  ops.CREATOR_ALL_ACL,
  [{ perms: 31, scheme: 'digest', id: 'user:digest' }],
  [{ perms: 31, scheme: 'ip', id: '10.0.0.1' }],
  [{ perms: 31, scheme: 'auth', id: 'ignored' }],
  [
    { perms: 1, scheme: 'auth', id: '' },
    { perms: 31, scheme: 'auth', id: '' },
  ],
  [
    { perms: 0, scheme: 'world', id: 'anyone' },
    { perms: -1, scheme: 'auth', id: '' },
  ],
  [{ perms: 64, scheme: 'world', id: 'anyone' }],
  [{ perms: 31, scheme: 'super', id: '' }],
  ...['a:b:c', 'a:b:', ':b', 'a:', ':', ''].map(id => [{ perms: 31, scheme: 'digest', id }]),
  ...['127.0.0.1/0', '127.0.0.1/33', '127.0.0.1/', '/8', '127.1', '', '127.0.0.1/8/8'].map(id => [
    { perms: 31, scheme: 'ip', id },
  ]),
]

/** The last ones are no more than half of one. */
const PASSWORDS = ['bob:secret', 'bob:other', 'eve:x', 'eve:x:y', 'eve:', 'eve', '']

/** Only znodes with such names are ever hidden: servers before 3.8.4 tell of them to who may not read them. */
export function mayBeHidden(path: string): boolean {
  return /\/c[^/]*$/.test(path)
}

const QUOTA_PATHS = [
  '/zookeeper/quota/a',
  '/zookeeper/quota/a/zookeeper_limits',
  '/zookeeper/quota/a/zookeeper_stats',
  '/zookeeper/quota/a/b',
  '/zookeeper/quota/a/b/zookeeper_limits',
  '/zookeeper/quota/a/b/zookeeper_stats',
]

const ONE_SHOT_WATCHES: ReadonlySet<object> = new Set([ops.removeWatches, ops.setWatches])

/** Makes operations on few paths, so that they meet, and a few that no client should send. */
export class RandomOperations {
  readonly #random: SeededRandom
  readonly #sessions: number
  readonly #quotaShare: number

  /** With `quotas`, one operation in ten is about them. */
  constructor(seed: number, sessions: number, options: { readonly quotas?: boolean } = {}) {
    this.#quotaShare = options.quotas === true ? 1 : 0
    this.#random = new SeededRandom(seed)
    this.#sessions = sessions
  }

  next(): RandomOperation {
    const session = this.#random.below(this.#sessions)
    const [operation, request] = this.#withOwnKindOfWatch(
      session,
      this.#random.pick(this.#random.below(10) < this.#quotaShare ? this.#quotaMakers : this.#makers)(),
    )
    return { session, operation: operation as Operation<unknown, unknown>, request }
  }

  /**
   * Versions of Apache ZooKeeper differ where one session has several kinds of watch on a path, so the last session has
   * the watches that stay, one kind on each path, and the others the one-shot watches. (And checkWatches is left out:
   * before 3.9 it says yes when anybody watches the path.)
   */
  #withOwnKindOfWatch(session: number, made: readonly [object, unknown]): readonly [object, unknown] {
    const [operation, request] = made
    const isLast = session === this.#sessions - 1
    if (operation === ops.addWatch) {
      const { path } = request as ops.AddWatchRequest
      return isLast ? [operation, { path, mode: path.length % 2 }] : [ops.ping, undefined]
    }
    if (!isLast) return made
    if (ONE_SHOT_WATCHES.has(operation)) return [ops.ping, undefined]
    if (typeof request === 'object' && request !== null && 'watch' in request) {
      return [operation, { ...request, watch: false }]
    }
    return made
  }

  #path(): string {
    const random = this.#random
    if (random.below(25) === 0) return random.pick(ODD_PATHS)
    let path = ''
    for (let depth = 1 + random.below(3); depth > 0; depth--) path += `/${random.pick(NAMES)}`
    return path
  }

  #acl(path: string): readonly Acl[] {
    return this.#random.pick(mayBeHidden(path) ? [...HIDING_ACLS, ...READABLE_ACLS] : READABLE_ACLS)
  }

  #setAcl(): ops.SetAclRequest {
    const path = this.#path()
    return { path, acl: this.#acl(path), version: this.#version() }
  }

  #version(): number {
    return this.#random.pick([-1, -1, -1, -1, 0, 1, 2])
  }

  #create(): ops.CreateRequest {
    const random = this.#random
    const path = this.#path()
    return {
      path,
      data: random.pick(DATA),
      acl: this.#acl(path),
      flags: random.pick([0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 7, -1]),
    }
  }

  #watched(): ops.PathWatchRequest {
    return { path: this.#path(), watch: this.#random.below(3) === 0 }
  }

  /** Of what is hidden, servers before 3.8.4 tell anybody that it exists. */
  #exists(): readonly [object, unknown] {
    const request = this.#watched()
    return [mayBeHidden(request.path) ? ops.getData : ops.exists, request]
  }

  #part(): MultiOp {
    const random = this.#random
    switch (random.below(7)) {
      case 0:
        return { op: 'create', ...this.#create(), flags: random.below(5) }
      case 1:
        return { op: 'create', ...this.#create(), flags: random.below(4) }
      case 2:
        return { op: 'createContainer', ...this.#create(), flags: 4 }
      case 3:
        return { op: 'delete', path: this.#path(), version: this.#version() }
      case 4:
        return { op: 'setData', path: this.#path(), data: random.pick(DATA), version: this.#version() }
      case 5:
        return {
          op: 'createTtl',
          ...this.#create(),
          flags: random.pick([5, 6, 5]),
          ttlMs: random.pick([1e6, 1e7, 0]),
        }
      default:
        return { op: 'check', path: this.#path(), version: this.#version() }
    }
  }

  #paths(): string[] {
    return Array.from({ length: this.#random.below(3) }, () => this.#path())
  }

  readonly #makers: readonly (() => readonly [object, unknown])[] = [
    () => [ops.create, this.#create()],
    () => [ops.create, this.#create()],
    () => [ops.create2, this.#create()],
    () => [ops.create2, this.#create()],
    () => [ops.createContainer, { ...this.#create(), flags: this.#random.pick([4, 4, 0, 1]) }],
    () => [
      ops.createTtl,
      {
        ...this.#create(),
        flags: this.#random.pick([5, 6, 0]),
        ttlMs: this.#random.pick([1e6, 1e7, 0, 2 ** 40]),
      },
    ],
    () => [ops.deleteNode, { path: this.#path(), version: this.#version() }],
    () => [ops.deleteNode, { path: this.#path(), version: this.#version() }],
    () => [ops.setData, { path: this.#path(), data: this.#random.pick(DATA), version: this.#version() }],
    () => [ops.setData, { path: this.#path(), data: this.#random.pick(DATA), version: this.#version() }],
    () => this.#exists(),
    () => [ops.getData, this.#watched()],
    () => [ops.getChildren, this.#watched()],
    () => [ops.getChildren2, this.#watched()],
    () => [ops.getAcl, { path: this.#path() }],
    () => [ops.setAcl, this.#setAcl()],
    () => [ops.sync, { path: this.#path() }],
    () => [ops.ping, undefined],
    () => [ops.multi, { ops: Array.from({ length: this.#random.below(5) }, () => this.#part()) }],
    () => [ops.multi, { ops: Array.from({ length: 1 + this.#random.below(2) }, () => this.#part()) }],
    () => [
      ops.multiRead,
      {
        ops: Array.from({ length: this.#random.below(4) }, () => ({
          op: this.#random.pick(['getData', 'getChildren']),
          ...this.#watched(),
          watch: false,
        })),
      },
    ],
    () => [ops.addWatch, { path: this.#path(), mode: this.#random.below(2) }],
    () => [ops.removeWatches, { path: this.#path(), type: 1 + this.#random.below(3) }],
    () => [
      ops.setWatches,
      {
        relativeZxid: BigInt(this.#random.below(200)),
        dataWatches: this.#paths(),
        existWatches: this.#paths(),
        childWatches: this.#paths(),
      },
    ],
    () => [ops.getEphemerals, { path: this.#random.pick(['/', '/a', '/b', '']) }],
    () => [ops.getAllChildrenNumber, { path: this.#path() }],
    () => [ops.whoAmI, undefined],
    () => [ops.auth, { type: 0, scheme: 'digest', auth: Buffer.from(this.#random.pick(PASSWORDS)) }],
    () => [ops.reconfig, { joiningServers: null, leavingServers: '1', newMembers: null, fromConfig: -1n }],
  ]

  readonly #quotaMakers: readonly (() => readonly [object, unknown])[] = [
    () => [
      ops.create,
      { path: this.#random.pick(QUOTA_PATHS), data: Buffer.from('count=2,bytes=9'), acl: OPEN, flags: 0 },
    ],
    () => [ops.getData, { path: this.#random.pick(QUOTA_PATHS), watch: false }],
    () => [ops.deleteNode, { path: this.#random.pick(QUOTA_PATHS), version: this.#random.below(4) - 1 }],
  ]
}
