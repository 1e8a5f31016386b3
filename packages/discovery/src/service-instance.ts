/** Whether an instance is to be used. Apache Curator knows only these two, as `enabled`. */
export type ServiceStatus = 'up' | 'outOfService'

/** One running copy of a service, as the registry has it. */
export interface ServiceInstance<Payload = unknown> {
  readonly serviceName: string
  /** Unique among the instances of the service. */
  readonly id: string
  readonly address: string
  readonly port: number | null
  /** Whatever else its users want to know; anything that JSON can say. */
  readonly payload: Payload
  /** When it was registered, by its own wall clock, in milliseconds since the epoch. */
  readonly registeredAtMs: number
  readonly status: ServiceStatus
}

/** The names that Apache Curator's `InstanceSerializer` writes. */
interface CuratorInstance {
  readonly name: string
  readonly id: string
  readonly address: string
  readonly port: number | null
  readonly sslPort: number | null
  readonly payload: unknown
  readonly registrationTimeUTC: number
  readonly serviceType: 'DYNAMIC'
  readonly uriSpec: null
  readonly enabled: boolean
}

/** The data of an instance's znode. */
export function encodeInstance(instance: ServiceInstance): string {
  const record: CuratorInstance = {
    name: instance.serviceName,
    id: instance.id,
    address: instance.address,
    port: instance.port,
    sslPort: null,
    payload: instance.payload,
    registrationTimeUTC: instance.registeredAtMs,
    serviceType: 'DYNAMIC',
    uriSpec: null,
    enabled: instance.status === 'up',
  }
  return JSON.stringify(record)
}

/** `undefined` for data that describes no instance: what a foreign program wrote must not stop ours. */
export function decodeInstance(data: Uint8Array | null): ServiceInstance | undefined {
  let record: Partial<CuratorInstance> | null
  try {
    record = JSON.parse(Buffer.from(data ?? []).toString()) as Partial<CuratorInstance> | null
  } catch {
    return undefined
  }
  if (typeof record?.name !== 'string' || typeof record.id !== 'string') return undefined
  if (typeof record.address !== 'string' || !isPort(record.port ?? null)) return undefined
  return {
    serviceName: record.name,
    id: record.id,
    address: record.address,
    port: record.port ?? null,
    payload: record.payload ?? null,
    registeredAtMs: typeof record.registrationTimeUTC === 'number' ? record.registrationTimeUTC : 0,
    status: record.enabled === false ? 'outOfService' : 'up',
  }
}

/** Nothing can be connected to at another. */
function isPort(port: unknown): boolean {
  return port === null || (Number.isInteger(port) && Number(port) >= 0 && Number(port) <= 65_535)
}
