/** Apache's `ZooKeeperServer.superSecret`, public in its sources. */
const SECRET = 0xb3415c00n
/** The linear congruential generator of `java.util.Random`, as its documentation specifies it. */
const MULTIPLIER = 0x5deece66dn
const INCREMENT = 0xbn
const MASK = (1n << 48n) - 1n

/**
 * The password of a session: 16 bytes that follow from its id, calculated as Apache ZooKeeper does, so that sessions
 * survive a move of the data folder from one to the other. It guards against mistakes, not against attackers.
 */
export function sessionPassword(sessionId: bigint): Buffer {
  const password = Buffer.alloc(16)
  let seed = (sessionId ^ SECRET ^ MULTIPLIER) & MASK
  for (let at = 0; at < 16; at += 4) {
    seed = (seed * MULTIPLIER + INCREMENT) & MASK
    password.writeUInt32LE(Number(seed >> 16n), at)
  }
  return password
}
