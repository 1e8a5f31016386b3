import {
  AddWatchMode,
  addWatch,
  closeSession,
  create,
  createModeToFlags,
  exists,
  getChildren,
  getEphemerals,
  OPEN_ACL,
  ping,
  setWatches2,
} from '@conclave/protocol'
import type { RawSession } from '@conclave/testing'
import { connect, ok, ROOT, SHORT_MS, type Habit, type Scene, WrongAnswerError } from './scene.ts'

const EPHEMERAL = createModeToFlags('ephemeral')
const EPHEMERAL_SEQUENTIAL = createModeToFlags('ephemeralSequential')

/** Two ephemeral znodes, and watches of each kind, which nobody takes back. */
async function settleIn(session: RawSession, { turn }: Scene): Promise<void> {
  const path = `${ROOT}/sessions/of-${turn}-`
  const data = Buffer.alloc(turn % 300)
  await ok(session.call(create, { path, data, acl: OPEN_ACL, flags: EPHEMERAL_SEQUENTIAL }))
  await ok(
    session.call(create, { path: `${path}${session.sessionId}`, data, acl: OPEN_ACL, flags: EPHEMERAL }),
  )
  await session.call(exists, { path: `${ROOT}/sessions/nobody-${turn}`, watch: true })
  await ok(session.call(getChildren, { path: ROOT, watch: true }))
  await ok(session.call(addWatch, { path: `${path}${session.sessionId}`, mode: AddWatchMode.persistent }))
  await ok(session.call(addWatch, { path: `${path}recursive`, mode: AddWatchMode.persistentRecursive }))
}

/** A session that ends in order. */
export const visit: Habit = async scene => {
  await using session = await connect(scene)
  await settleIn(session, scene)
  await ok(session.call(getEphemerals, { path: ROOT }))
  await ok(session.call(closeSession, undefined))
  await session.ended
}

/** A session whose connection breaks, and which expires some time later. */
export const vanish: Habit = async scene => {
  await using session = await connect(scene, { timeoutMs: SHORT_MS })
  await settleIn(session, scene)
}

/** A session that falls silent, and is ended by the server. */
export const fallSilent: Habit = async scene => {
  const session = await connect(scene, { timeoutMs: SHORT_MS })
  await settleIn(session, scene)
  await session.ended
}

/** A session that is ended from outside, and may not come back. */
export const beExpelled: Habit = async scene => {
  const session = await connect(scene)
  await settleIn(session, scene)
  await scene.server.expire(session.sessionId)
  await session.ended
  const { sessionId, password } = session.granted
  await using refused = await connect(scene, { sessionId, password })
  if (refused.granted.timeoutMs !== 0) throw new WrongAnswerError('an expired session was taken back')
}

/** A session that moves from connection to connection: after a break, while the old one is open, with a wrong password. */
export const wander: Habit = async scene => {
  let session = await connect(scene)
  await settleIn(session, scene)
  const { sessionId, password } = session.granted
  for (let move = 0; move < 4; move++) {
    const old = session
    if (move % 2 === 0) await old.close()
    if (move === 3) {
      await using stranger = await connect(scene, { sessionId, password: Buffer.alloc(16, 1) })
      if (stranger.granted.timeoutMs !== 0) throw new WrongAnswerError('a wrong password was taken')
    }
    session = await connect(scene, { sessionId, password })
    await old.ended
    const missing = `${ROOT}/sessions/nobody-${scene.turn}`
    await ok(
      session.call(setWatches2, {
        relativeZxid: 0x7fff_ffff_ffffn,
        dataWatches: [],
        existWatches: [missing],
        childWatches: [],
        persistentWatches: [`${missing}-1`],
        persistentRecursiveWatches: [`${missing}-2`],
      }),
    )
    await ok(session.call(ping, undefined))
  }
  await ok(session.call(closeSession, undefined))
  await session.ended
}
