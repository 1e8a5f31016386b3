import { leakGuard } from '@conclave/testing'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { engines, type RunningServer } from '../support/engines.ts'
import { ExamplePrograms } from './example-programs.ts'
import { examplesIn } from './examples.ts'

const examples = examplesIn('docs/guides/migrating.md')

describe.each(engines)('docs - the examples of migration do what they say, on $name', engine => {
  const assertClean = leakGuard()
  let server: RunningServer
  let programs: ExamplePrograms
  beforeAll(async () => {
    server = await engine.start({ tickTimeMs: 500 })
    programs = new ExamplePrograms(engine.name.replaceAll(' ', '-'), examples, server.connectString)
    programs.build()
  })
  afterAll(async () => {
    await server.close()
    await assertClean()
  })

  test.each(examples)('docs - the example at $document:$line', example => programs.run(example))
})
