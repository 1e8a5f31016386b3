/** What kind of znode `create` makes. */
export type CreateMode =
  | 'persistent'
  | 'ephemeral'
  | 'persistentSequential'
  | 'ephemeralSequential'
  | 'container'
  | 'persistentWithTtl'
  | 'persistentSequentialWithTtl'

const FLAGS: Record<CreateMode, number> = {
  persistent: 0,
  ephemeral: 1,
  persistentSequential: 2,
  ephemeralSequential: 3,
  container: 4,
  persistentWithTtl: 5,
  persistentSequentialWithTtl: 6,
}

const MODES = Object.keys(FLAGS) as CreateMode[]

/** Whether that is the name of a mode. */
export function isCreateMode(mode: unknown): mode is CreateMode {
  return MODES.includes(mode as CreateMode)
}

/** The `flags` field of a create request. */
export function createModeToFlags(mode: CreateMode): number {
  return FLAGS[mode]
}

/** The mode that `flags` name, or `undefined` for a number without one. */
export function createModeFromFlags(flags: number): CreateMode | undefined {
  return MODES[flags]
}

/** Whether the server puts a number behind the name. */
export function isSequential(mode: CreateMode): boolean {
  return (
    mode === 'persistentSequential' ||
    mode === 'ephemeralSequential' ||
    mode === 'persistentSequentialWithTtl'
  )
}

/** Whether the znode goes with its session. */
export function isEphemeral(mode: CreateMode): boolean {
  return mode === 'ephemeral' || mode === 'ephemeralSequential'
}

/** Whether the znode goes when it is not used for a time. */
export function hasTtl(mode: CreateMode): boolean {
  return mode === 'persistentWithTtl' || mode === 'persistentSequentialWithTtl'
}
