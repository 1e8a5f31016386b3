import { EmbeddedServerProcess, leakGuard } from '@conclave/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ExamplePrograms } from './example-programs.ts'
import { examplesIn } from './examples.ts'

const DOCUMENTS = [
  'packages/client/README.md',
  'packages/recipes/README.md',
  'packages/discovery/README.md',
  'packages/testing/README.md',
  'packages/server/README.md',
  'packages/protocol/README.md',
  'packages/core/README.md',
  'docs/errors.md',
  'docs/guides/sessions-and-watches.md',
]

describe('docs - the examples do what they say', () => {
  const examples = DOCUMENTS.flatMap(examplesIn)
  const assertClean = leakGuard()
  let server: EmbeddedServerProcess
  let programs: ExamplePrograms
  beforeAll(async () => {
    // Ticks of half a second: sessions last 1 to 10 seconds.
    server = await EmbeddedServerProcess.start({ tickTimeMs: 500 })
    programs = new ExamplePrograms('embedded', examples, server.connectString)
    programs.build()
  })
  afterAll(async () => {
    await server.close()
    await assertClean()
  })

  test.each(DOCUMENTS)('docs - %s has examples', document => {
    expect(examples.filter(example => example.document === document)).not.toEqual([])
  })

  test.each(examples)('docs - the example at $document:$line', example => programs.run(example))
})
