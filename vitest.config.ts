import { defineConfig } from 'vitest/config'

// In unit tests packages import each other's sources, so they need no build. System tests start processes and threads,
// which Node.js cannot run from TypeScript, so all of it runs from `dist`, as at its users'.
const conditions = ['@conclave/source', 'node', 'import', 'module', 'default']
const shared = {
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
}

export default defineConfig({
  test: {
    projects: [
      {
        ...shared,
        test: {
          name: 'unit',
          include: ['packages/*/test/**/*.test.ts'],
          // A pure unit test owns no port and no process: one worker for many files is five times faster.
          isolate: false,
          sequence: { groupOrder: 0 },
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'system',
          globalSetup: 'scripts/bundle.mjs',
          include: ['test/**/*.test.ts'],
          // Much of their time they wait: for a timeout, a disk, a process that starts.
          maxWorkers: 2,
          // After the unit tests: what fails there explains what fails here.
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
