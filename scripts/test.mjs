// Everything that must hold before a change goes in: types, lint, format, then all tests, the fast ones first. The
// last line is always `N passed, N failed`. With arguments it is vitest with these arguments and nothing else:
// `npm test -- packages/client`.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const report = fileURLToPath(new URL('../.cache/test-report.json', import.meta.url))
const args = process.argv.slice(2)

const failures = [...(args.length === 0 ? runChecks() : []), ...runTests(args)]
const { numPassedTests = 0, numFailedTests = 0 } = readReport()

if (failures.length > 0) console.log(`\n${failures.map(failure => `FAILED ${failure}`).join('\n')}`)
console.log(`\n${numPassedTests} passed, ${numFailedTests + failures.length} failed`)
process.exitCode = numFailedTests + failures.length === 0 ? 0 : 1

/** What can be said without running anything. Every check runs, so that one run tells all. */
function runChecks() {
  return [
    ['types', 'typescript/bin/tsc', '-p', 'tsconfig.test.json'],
    ['lint', 'oxlint/bin/oxlint', '--type-aware', '--deny-warnings'],
    ['format', 'prettier/bin/prettier.cjs', '--check', '--log-level=warn', '.'],
  ].flatMap(([name, binary, ...rest]) => {
    console.log(`${name} ...`)
    return runBinary(binary, rest) === 0 ? [] : [`${name}: see above`]
  })
}

/** Failures besides those of single tests: files that do not load, errors outside of a test, skipped tests. */
function runTests(filter) {
  rmSync(report, { force: true })
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const exitCode = runBinary('vitest/vitest.mjs', ['run', '--allowOnly=false', ...reporters, ...filter])
  const { testResults = [], numFailedTests = 0 } = readReport()
  const broken = testResults
    .filter(file => file.status === 'failed' && file.assertionResults.every(test => test.status !== 'failed'))
    .map(file => `${relative(root, file.name)}: ${file.message}`)
  // A test that is left out proves nothing; only a pattern on the command line may leave out some.
  const mayLeaveOut = filter.some(argument => /^(-t|--testNamePattern)/.test(argument))
  const skipped = mayLeaveOut
    ? []
    : testResults.flatMap(file =>
        file.assertionResults
          .filter(test => test.status !== 'passed' && test.status !== 'failed')
          .map(test => `${relative(root, file.name)}: "${test.fullName}" was ${test.status}`),
      )
  const unexplained = exitCode !== 0 && numFailedTests + broken.length === 0
  return [...broken, ...skipped, ...(unexplained ? [`vitest: exit code ${exitCode}, see above`] : [])]
}

function runBinary(path, options) {
  const binary = fileURLToPath(new URL(`../node_modules/${path}`, import.meta.url))
  return spawnSync(process.execPath, [binary, ...options], { cwd: root, stdio: 'inherit' }).status
}

function readReport() {
  return existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : {}
}
