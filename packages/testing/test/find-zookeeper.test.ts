import { UsageError } from '@conclave/core'
import { findZooKeeper, temporaryFolder } from '@conclave/testing'
import { mkdir, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { expect, test } from 'vitest'

async function folderWith(...files: readonly string[]): Promise<{ path: string } & AsyncDisposable> {
  const folder = temporaryFolder()
  for (const file of files) {
    await mkdir(join(folder.path, file, '..'), { recursive: true })
    await writeFile(join(folder.path, file), '')
  }
  return folder
}

test('findZooKeeper - takes the release that CONCLAVE_ZOOKEEPER_HOME names, and Java from PATH', async () => {
  await using folder = await folderWith('lib/zookeeper-3.9.3.jar', 'bin/java')
  const bin = join(folder.path, 'bin')
  const PATH = ['/nonexistent', bin].join(delimiter)
  expect(findZooKeeper({ CONCLAVE_ZOOKEEPER_HOME: folder.path, PATH })).toEqual({
    java: join(bin, 'java'),
    classPath: join(folder.path, 'lib', '*'),
  })
})

test('findZooKeeper - prefers JAVA_HOME, and takes a plain folder of jars', async () => {
  await using folder = await folderWith('zookeeper.jar', 'bin/java', 'jdk/bin/java')
  const env = {
    CONCLAVE_ZOOKEEPER_HOME: folder.path,
    JAVA_HOME: join(folder.path, 'jdk'),
    PATH: join(folder.path, 'bin'),
  }
  expect(findZooKeeper(env)).toEqual({
    java: join(folder.path, 'jdk/bin/java'),
    classPath: join(folder.path, '*'),
  })
})

test('findZooKeeper - refuses a folder without ZooKeeper, and finds nothing without Java', async () => {
  await using folder = await folderWith('lib/zookeeper-jute-3.9.3.jar')
  expect(() => findZooKeeper({ CONCLAVE_ZOOKEEPER_HOME: folder.path })).toThrow(UsageError)
  expect(findZooKeeper({ PATH: folder.path })).toBeUndefined()
})
