import type { TaskContext } from '@conclave/cluster'

export function double(number: number): number
export function contextOf(
  input: string,
  context: TaskContext,
): Omit<TaskContext, 'fencingToken'> & { fencingToken: string }
export function nothing(input: number): void
export function waitsForFile(path: string): Promise<string>
export function fails(input: number): never
export function failsOnce(input: number, context: TaskContext): [number, number]
export function exits(input: string): string
export function failsLater(input: number): Promise<number>
export function large(bytes: number): string
export function burns(milliseconds: number): number
export function killsProcess(input: string): string
export function throwsLong(characters: number): never
