/** OpenTelemetry spans of what clients do. Needs `@opentelemetry/api`, which nothing else here does. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import {
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Span,
  type Tracer,
  type TracerProvider,
} from '@opentelemetry/api'
import { ConclaveError } from '@conclave/core'
import {
  REQUEST_CHANNEL,
  REQUEST_START_CHANNEL,
  STATE_CHANNEL,
  type RequestDiagnostics,
  type RequestStartDiagnostics,
  type StateDiagnostics,
} from './metrics.ts'

export interface TracingOptions {
  /** Default the one that is registered globally. */
  readonly tracerProvider?: TracerProvider
  /** Whether spans carry the paths of znodes, which can tell more than is wanted elsewhere. Default `true`. */
  readonly paths?: boolean
}

/**
 * Makes a span of each request of every client in this process, from the call to its end and below the caller's own span;
 * and one without duration of each change of a session's state. The function returned ends that.
 */
export function traceClients(options: TracingOptions = {}): () => void {
  const { tracerProvider = trace.getTracerProvider(), paths = true } = options
  const tracer = tracerProvider.getTracer('@conclave/client')
  const spans = new WeakMap<object, Span>()
  const listeners = new Map<string, (message: unknown) => void>([
    [
      REQUEST_START_CHANNEL,
      message => {
        const start = message as RequestStartDiagnostics
        spans.set(start, startSpan(tracer, start, paths))
      },
    ],
    [
      REQUEST_CHANNEL,
      message => {
        const span = spans.get(message as RequestDiagnostics)
        if (span !== undefined) endSpan(span, (message as RequestDiagnostics).error)
      },
    ],
    [STATE_CHANNEL, message => spanOfState(tracer, message as StateDiagnostics)],
  ])
  for (const [name, listener] of listeners) subscribe(name, listener)
  return () => {
    for (const [name, listener] of listeners) unsubscribe(name, listener)
  }
}

/** Begun in the caller's context, so that its span is the parent. */
function startSpan(
  tracer: Tracer,
  { operation, path, sessionId }: RequestStartDiagnostics,
  paths: boolean,
): Span {
  const attributes: Attributes = { 'db.system.name': 'zookeeper', 'db.operation.name': operation }
  if (paths && path !== undefined) attributes['zookeeper.path'] = path
  return tracer.startSpan(`zookeeper ${operation}`, {
    kind: SpanKind.CLIENT,
    attributes: { ...attributes, ...sessionAttribute(sessionId) },
  })
}

function endSpan(span: Span, error: unknown): void {
  if (error instanceof ConclaveError) {
    span.setAttributes({ 'error.type': error.code, 'zookeeper.outcome': error.outcome })
    // Its message would name the path.
    span.setStatus({ code: SpanStatusCode.ERROR, message: error.code })
  } else if (error !== undefined) {
    span.setAttribute('error.type', '_OTHER')
    span.setStatus({ code: SpanStatusCode.ERROR })
  }
  span.end()
}

function spanOfState(tracer: Tracer, { change, sessionId }: StateDiagnostics): void {
  const attributes: Attributes = { 'zookeeper.session.state': change.state, ...sessionAttribute(sessionId) }
  if ('reason' in change) attributes['zookeeper.session.reason'] = change.reason
  tracer.startSpan(`zookeeper session ${change.state}`, { attributes }).end()
}

/** As servers write it in their logs. */
function sessionAttribute(sessionId: bigint | undefined): Attributes {
  return sessionId === undefined ? {} : { 'zookeeper.session.id': `0x${sessionId.toString(16)}` }
}
