import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryFolder } from '@conclave/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { collectFiles, toBatches } from '../../examples/search/files.ts'
import { mergeCounts, rank } from '../../examples/search/rank.ts'
import { countTerms, type Match } from '../../examples/search/tasks.ts'
import { queryTerms, tokenize } from '../../examples/search/tokens.ts'

describe('search tokens', () => {
  test.each([
    ['The leader, elected.', ['the', 'leader', 'elected']],
    ['node_42 zk-1', ['node', '42', 'zk', '1']],
    ['Ärger in STRASSE, naïve', ['ärger', 'in', 'strasse', 'naïve']],
    ['e\u0301lan', ['élan']],
    ['नमस्ते दुनिया', ['नमस्ते', 'दुनिया']],
    ['选举 лидер', ['选举', 'лидер']],
    ['... --- !', []],
  ])('tokenize - %j', (text, tokens) => {
    expect(tokenize(text)).toEqual(tokens)
  })

  test('query - each word once, in the order asked', () => {
    expect(queryTerms('Leader election, LEADER')).toEqual(['leader', 'election'])
  })
})

const match = (path: string, length: number, ...counts: number[]): Match => ({ path, length, counts })

describe('search ranking', () => {
  test('rank - a rare term weighs more than a common one', () => {
    const hits = rank({
      documents: 10,
      matches: [match('a', 100, 5, 0), match('b', 100, 0, 5), match('c', 100, 5, 0)],
    })
    expect(hits.map(({ path }) => path)).toEqual(['b', 'a', 'c'])
  })

  test('rank - all terms beat one, many occurrences beat few, short beats long', () => {
    const hits = rank({
      documents: 100,
      matches: [
        match('one', 100, 2, 0),
        match('both', 100, 1, 1),
        match('long', 9_000, 1, 1),
        match('more', 100, 3, 0),
      ],
    })
    expect(hits.map(({ path }) => path)).toEqual(['both', 'more', 'one', 'long'])
  })

  test('rank - the score is the formula, worked out by hand', () => {
    const [hit] = rank({ documents: 8, matches: [match('a', 4, 9)] })
    expect(hit!.score).toBeCloseTo((3 * (1 + Math.log(8 / 2)) ** 2) / 2, 12)
  })

  test('rank - equal scores are in the order of the paths', () => {
    const hits = rank({ documents: 3, matches: [match('b', 1, 1), match('c', 1, 1), match('a', 1, 1)] })
    expect(hits.map(({ path }) => path)).toEqual(['a', 'b', 'c'])
  })

  test('rank - nothing found is an empty ranking', () => {
    expect(rank({ documents: 5, matches: [] })).toEqual([])
  })

  test('merge - the order in which batches come makes no difference', () => {
    const batch = fc.record({
      documents: fc.nat(50),
      words: fc.nat(1000),
      matches: fc.array(
        fc.record({
          path: fc.string({ minLength: 1 }),
          length: fc.integer({ min: 1, max: 1000 }),
          counts: fc.tuple(fc.nat(5), fc.integer({ min: 1, max: 5 })),
        }),
        { maxLength: 5 },
      ),
      unreadable: fc.constant([]),
    })
    const batches = fc.uniqueArray(batch, {
      selector: ({ matches }) => matches.map(({ path }) => path).join(),
    })
    fc.assert(
      fc.property(batches, found => {
        const paths = found.flatMap(({ matches }) => matches.map(({ path }) => path))
        fc.pre(new Set(paths).size === paths.length)
        expect(rank(mergeCounts([...found].reverse()))).toEqual(rank(mergeCounts(found)))
      }),
    )
  })
})

describe('search files', () => {
  test('collect - every file, sorted, without hidden ones and without links', async () => {
    await using folder = temporaryFolder()
    const path = (name: string): string => join(folder.path, name)
    await mkdir(path('sub/.git'), { recursive: true })
    for (const name of ['b.md', 'a.txt', 'sub/c.md', 'sub/.git/config', '.hidden'])
      await writeFile(path(name), name)
    await writeFile(path('empty'), '')
    await symlink(path('sub'), path('link'))
    expect(await collectFiles(folder.path)).toEqual([
      { path: 'a.txt', sizeBytes: 5 },
      { path: 'b.md', sizeBytes: 4 },
      { path: 'sub/c.md', sizeBytes: 8 },
    ])
  })

  test('batches - even by bytes, every file once, a large one alone', () => {
    const files = [800_000, 160_000, 160_000, 4_000_000, 1].map((sizeBytes, index) => ({
      path: `f${index}`,
      sizeBytes,
    }))
    const batches = toBatches('/x', files, ['t'])
    expect(batches.map(({ paths }) => paths)).toEqual([['f0', 'f1'], ['f2'], ['f3'], ['f4']])
  })

  test('count - text is counted, bytes are not, what cannot be read is told', async () => {
    await using folder = temporaryFolder()
    await writeFile(join(folder.path, 'a.md'), 'Leader of leaders: the LEADER')
    await writeFile(join(folder.path, 'none.md'), 'nothing here')
    await writeFile(join(folder.path, 'program'), Buffer.from([0x7f, 0, 1, 2]))
    const paths = ['a.md', 'none.md', 'program', 'missing.md']
    expect(countTerms({ folder: folder.path, paths, terms: ['leader', 'election'] })).toEqual({
      documents: 2,
      words: 7,
      matches: [{ path: 'a.md', length: 5, counts: [2, 0] }],
      unreadable: ['missing.md'],
    })
  })
})
