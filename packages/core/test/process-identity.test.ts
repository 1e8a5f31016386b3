import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { isStillRunning, ownIdentity } from '@conclave/core'

describe('process identity', () => {
  test('own process - it runs', () => {
    expect(isStillRunning(ownIdentity())).toBe(true)
    expect(isStillRunning({ pid: process.pid })).toBe(true)
  })

  test('process that has ended - it does not run', () => {
    const { pid } = spawnSync(process.execPath, ['--version'])
    expect(isStillRunning({ pid })).toBe(false)
  })

  test('process id - another process that has it now is another', () => {
    const identity = ownIdentity()
    // Both are from before this process, and before this boot.
    expect(isStillRunning({ pid: process.pid, startedAt: '2020-01-01T00:00:00.000Z' })).toBe(false)
    expect(isStillRunning({ pid: process.ppid, startedAt: '2020-01-01T00:00:00.000Z' })).toBe(false)
    if (identity.incarnation === undefined) return
    expect(isStillRunning({ ...identity, incarnation: `${identity.incarnation}0` })).toBe(false)
    // Where it is known which process it was, the clock, which may have been set, says nothing.
    expect(isStillRunning({ ...identity, startedAt: '2020-01-01T00:00:00.000Z' })).toBe(true)
  })

  test.skipIf(process.platform !== 'linux')('zombie - a killed process that nobody waits for is dead', () => {
    const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' })
    const pid = child.pid!
    // Node.js waits for its children in its event loop, which does not turn here.
    const giveUpMs = Date.now() + 10_000
    const state = (): string => readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]![0]!
    while (state() !== 'Z' && Date.now() < giveUpMs);
    expect(state()).toBe('Z')
    expect(isStillRunning({ pid })).toBe(false)
  })
})
