import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  SessionMachine,
  type Activity,
  type SessionEffect,
  type SessionEvent,
  type SessionMachineOptions,
} from '../src/session-machine.ts'

const OPTIONS: SessionMachineOptions = {
  // Half of each backoff.
  random: { bytes: length => new Uint8Array(length), float: () => 0.5 },
  sessionTimeoutMs: 9_000,
  connectTimeoutMs: 1_000,
  closeTimeoutMs: 2_000,
  allowReadOnly: false,
  renewSession: true,
}

const quiet: Activity = { sentMs: 0, heardMs: 0, answeredMs: 0 }
const endpoints = [
  { host: 'zk1', port: 2181 },
  { host: 'zk2', port: 2181 },
]
const greeted = (attempt: number, timeoutMs: number, readOnly = false): SessionEvent => ({
  type: 'greeted',
  attempt,
  timeoutMs,
  sessionId: timeoutMs > 0 ? 0x100n : 0n,
  sessionPassword: new Uint8Array(16),
  readOnly,
})

/** The events that lead to each phase, at time 0; the present connection then has the given attempt. */
const start: SessionEvent = { type: 'start' }
const resolved: SessionEvent = { type: 'resolved', endpoints }
const dialed: SessionEvent = { type: 'dialed', attempt: 1 }
const established = [start, resolved, dialed, greeted(1, 9_000)]
const disconnected = (attempt: number): SessionEvent => ({
  type: 'disconnected',
  attempt,
  cause: new Error('reset'),
  activity: quiet,
})
const PHASES: Record<string, { readonly events: readonly SessionEvent[]; readonly attempt: number }> = {
  latent: { events: [], attempt: 0 },
  resolving: { events: [start], attempt: 0 },
  dialing: { events: [start, resolved], attempt: 1 },
  greeting: { events: [start, resolved, dialed], attempt: 1 },
  established: { events: established, attempt: 1 },
  'established, closing': { events: [...established, { type: 'close' }], attempt: 1 },
  'suspended, waiting': { events: [...established, disconnected(1)], attempt: 2 },
  'suspended, greeting': {
    events: [
      ...established,
      disconnected(1),
      { type: 'wake', activity: quiet },
      resolved,
      { type: 'dialed', attempt: 3 },
    ],
    attempt: 3,
  },
  closed: { events: [...established, { type: 'detach' }], attempt: 2 },
}

/** Every event, `nowMs` after the phase began. */
const EVENTS: Record<string, { readonly nowMs: number; of(attempt: number): SessionEvent }> = {
  resolved: { nowMs: 10, of: () => resolved },
  'resolved to nothing': { nowMs: 10, of: () => ({ type: 'resolved', endpoints: [] }) },
  'resolve failed': { nowMs: 10, of: () => ({ type: 'resolveFailed', cause: new Error('no such name') }) },
  dialed: { nowMs: 10, of: attempt => ({ type: 'dialed', attempt }) },
  'dialed, stale': { nowMs: 10, of: attempt => ({ type: 'dialed', attempt: attempt - 1 }) },
  greeted: { nowMs: 10, of: attempt => greeted(attempt, 6_000) },
  'greeted by a read-only server': { nowMs: 10, of: attempt => greeted(attempt, 6_000, true) },
  'greeted: expired': { nowMs: 10, of: attempt => greeted(attempt, 0) },
  'greeted, stale': { nowMs: 10, of: attempt => greeted(attempt - 1, 6_000) },
  disconnected: { nowMs: 10, of: disconnected },
  'disconnected, stale': { nowMs: 10, of: attempt => disconnected(attempt - 1) },
  'auth failed': { nowMs: 10, of: attempt => ({ type: 'authFailed', attempt }) },
  'wake at once': { nowMs: 0, of: () => ({ type: 'wake', activity: quiet }) },
  'wake after a third of the session': { nowMs: 3_000, of: () => ({ type: 'wake', activity: quiet }) },
  'wake after the session': { nowMs: 9_000, of: () => ({ type: 'wake', activity: quiet }) },
  move: { nowMs: 10, of: attempt => ({ type: 'move', attempt, activity: quiet }) },
  close: { nowMs: 10, of: () => ({ type: 'close' }) },
  'close answered': { nowMs: 10, of: () => ({ type: 'closeAnswered' }) },
  detach: { nowMs: 10, of: () => ({ type: 'detach' }) },
}

function machineIn(phase: string): SessionMachine {
  const machine = new SessionMachine(OPTIONS)
  for (const event of PHASES[phase]!.events) {
    // Only a timer that is due wakes the machine.
    const nowMs = event.type === 'wake' ? machine.wakeAtMs! : 0
    machine.step({ ...event, nowMs })
    machine.validate()
  }
  return machine
}

function textOf(effect: SessionEffect): string {
  switch (effect.type) {
    case 'dial':
      return `dial ${effect.endpoint.host}`
    case 'greet':
      return effect.credentials === undefined ? 'greet' : 'greet again'
    case 'abandon':
      return `abandon (${effect.reason})`
    case 'announce':
      return `announce ${effect.change.state}${'reason' in effect.change ? ` (${effect.change.reason})` : ''}`
    default:
      return effect.type
  }
}

function table(): string {
  const lines: string[] = []
  for (const [phase, { attempt }] of Object.entries(PHASES)) {
    lines.push(phase)
    for (const [name, { nowMs, of }] of Object.entries(EVENTS)) {
      const machine = machineIn(phase)
      const effects = machine.step({ ...of(attempt), nowMs })
      machine.validate()
      const { state, phase: after } = machine.inspect() as { state: string; phase: string }
      const wake = machine.wakeAtMs === undefined ? '' : ` wake at ${Math.round(machine.wakeAtMs)}`
      lines.push(`  ${name}: ${effects.map(textOf).join(', ') || '-'} => ${state}, ${after}${wake}`)
    }
  }
  return lines.join('\n') + '\n'
}

describe('session machine', () => {
  test('table - every event in every phase does what the table says', () => {
    const expected = readFileSync(new URL('session-machine.table.txt', import.meta.url), 'utf8')
    expect(table()).toBe(expected)
  })

  test('round - a refused server is followed by the next, the last by a delay', () => {
    const machine = machineIn('dialing')
    expect(machine.step({ ...disconnected(1), nowMs: 5 }).map(textOf)).toEqual(['dial zk2'])
    expect(machine.step({ ...disconnected(3), nowMs: 6 }).map(textOf)).toEqual([])
    expect(machine.wakeAtMs).toBe(6 + 25)
  })

  test('attach - credentials are presented at the first greeting', () => {
    const credentials = { sessionId: 0x100n, sessionPassword: new Uint8Array(16) }
    const machine = new SessionMachine({ ...OPTIONS, credentials })
    machine.step({ ...start, nowMs: 0 })
    machine.step({ ...resolved, nowMs: 0 })
    expect(machine.step({ ...dialed, nowMs: 0 })).toMatchObject([{ type: 'greet', credentials }])
    expect(machine.step({ ...greeted(1, 9_000), nowMs: 0 })).toMatchObject([
      { type: 'announce', change: { state: 'connected', isNewSession: true } },
      { type: 'establish' },
    ])
  })

  test('late timer - a silence that may be the own one is looked at twice, and then believed', () => {
    const machine = machineIn('established')
    const activity = { ...quiet, sentMs: 8_000 }
    expect(machine.step({ type: 'wake', activity, nowMs: 8_000 })).toEqual([])
    expect(machine.wakeAtMs).toBe(8_001)
    expect(machine.step({ type: 'wake', activity, nowMs: 8_001 }).map(textOf)).toEqual([
      'hangUp',
      'announce suspended (silent)',
      'interrupt',
    ])
    const heard = machineIn('established')
    heard.step({ type: 'wake', activity, nowMs: 8_000 })
    expect(heard.step({ type: 'wake', activity: { ...activity, heardMs: 8_000 }, nowMs: 8_001 })).toEqual([])
    expect(heard.state).toBe('connected')
  })
})
