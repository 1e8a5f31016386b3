import { AsyncLocalStorage } from 'node:async_hooks'
import {
  context,
  ROOT_CONTEXT,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Span,
  type SpanOptions,
  type SpanStatus,
  type Tracer,
} from '@opentelemetry/api'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { NoNodeError } from '@conclave/client'
import { traceClients, type TracingOptions } from '../src/opentelemetry.ts'
import { Simulation } from './support/simulation.ts'

interface RecordedSpan {
  readonly name: string
  readonly parent: Span | undefined
  readonly attributes: Attributes
  status: SpanStatus['code']
  ended: boolean
}

let spans: RecordedSpan[]

/** A span as the API has it, of which only what is recorded does anything. */
function record(name: string, { attributes = {} }: SpanOptions, parent: Span | undefined): Span {
  const recorded = { name, parent, attributes: { ...attributes }, status: SpanStatusCode.UNSET, ended: false }
  spans.push(recorded)
  return Object.assign(trace.wrapSpanContext({ traceId: '1', spanId: String(spans.length), traceFlags: 1 }), {
    setStatus: ({ code }: SpanStatus) => void (recorded.status = code),
    setAttributes: (more: Attributes) => void Object.assign(recorded.attributes, more),
    end: () => void (recorded.ended = true),
  })
}

const tracer = {
  startSpan: (name: string, options: SpanOptions = {}) =>
    record(name, options, trace.getSpan(context.active())),
} as Tracer

const tracerProvider = { getTracer: () => tracer }
const contexts = new AsyncLocalStorage<Context>()
let stop: () => void

function start(options: TracingOptions = {}): void {
  stop = traceClients({ tracerProvider, ...options })
}

beforeEach(() => {
  spans = []
  context.setGlobalContextManager({
    active: () => contexts.getStore() ?? ROOT_CONTEXT,
    with: (active, run, self, ...args) => contexts.run(active, () => run.call(self, ...args)),
    bind: (_, target) => target,
    enable: () => context as never,
    disable: () => context as never,
  })
})

afterEach(() => {
  stop()
  context.disable()
})

test('opentelemetry - each request is a span below that of its caller, from the call to its end', async () => {
  start()
  const simulation = new Simulation()
  const zk = await simulation.connect()
  const parent = tracer.startSpan('caller')
  const creating = context.with(trace.setSpan(ROOT_CONTEXT, parent), () => zk.create('/a', 'x'))
  expect(spans.at(-1)).toMatchObject({ name: 'zookeeper create', parent, ended: false })
  await creating
  expect(spans.at(-1)).toMatchObject({
    ended: true,
    status: SpanStatusCode.UNSET,
    attributes: {
      'db.system.name': 'zookeeper',
      'db.operation.name': 'create',
      'zookeeper.path': '/a',
      'zookeeper.session.id': '0x100',
    },
  })
  await expect(zk.setData('/missing', 'x')).rejects.toBeInstanceOf(NoNodeError)
  expect(spans.at(-1)).toMatchObject({
    name: 'zookeeper setData',
    parent: undefined,
    ended: true,
    status: SpanStatusCode.ERROR,
    attributes: { 'error.type': 'NO_NODE', 'zookeeper.outcome': 'not-applied' },
  })
  await zk.close()
})

test('opentelemetry - each change of state is a span, and paths are left out where they are not wanted', async () => {
  start({ paths: false })
  const simulation = new Simulation()
  const zk = await simulation.connect()
  await zk.exists('/secret')
  simulation.network.last.cut()
  await simulation.clock.advance(50)
  await zk.close()
  expect(spans.every(({ ended }) => ended)).toBe(true)
  expect(spans.map(({ name }) => name)).toEqual([
    'zookeeper session connected',
    'zookeeper exists',
    'zookeeper session suspended',
    'zookeeper session connected',
    'zookeeper close',
    'zookeeper session closed',
  ])
  expect(spans[2]!.attributes['zookeeper.session.reason']).toBe('disconnected')
  expect(JSON.stringify(spans.map(({ attributes }) => attributes))).not.toContain('secret')
})

test('opentelemetry - once ended, nothing more is told', async () => {
  start()
  stop()
  const zk = await new Simulation().connect()
  await zk.exists('/a')
  await zk.close()
  expect(spans).toEqual([])
})
