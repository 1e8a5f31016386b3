import { codeOf } from '@conclave/core'

export function isProcessAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    // It is there, and another user's.
    return codeOf(error) === 'EPERM'
  }
}
