import { UsageError } from '@conclave/core'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** What is needed to start Apache ZooKeeper. */
export interface ZooKeeperInstallation {
  /** The `java` program. */
  readonly java: string
  readonly classPath: string
}

const DEBIAN_JARS = '/usr/share/java'
const JAR = /^zookeeper(-\d[\w.-]*)?\.jar$/

/**
 * Looks for Apache ZooKeeper and Java: in the folder named by `CONCLAVE_ZOOKEEPER_HOME` (an unpacked release, or any
 * folder with its jars), else where Debian and Ubuntu install them. `undefined` where there is none; throws
 * `UsageError` where the variable names a folder without it.
 */
export function findZooKeeper(
  env: Readonly<Record<string, string | undefined>> = process.env,
): ZooKeeperInstallation | undefined {
  const home = env['CONCLAVE_ZOOKEEPER_HOME']
  const java = findJava(env)
  if (home !== undefined && home !== '') {
    const folder = [join(home, 'lib'), home].find(hasServerJar)
    if (folder === undefined) {
      throw new UsageError(
        `CONCLAVE_ZOOKEEPER_HOME is ${home}, but neither it nor its lib folder has zookeeper*.jar`,
      )
    }
    return java === undefined ? undefined : { java, classPath: join(folder, '*') }
  }
  if (java === undefined || !hasServerJar(DEBIAN_JARS)) return undefined
  // The manifest of Debian's jar names everything else that it needs, except something to write its log with, and half of
  // what serves the pages of its AdminServer.
  const names = ['zookeeper', 'slf4j-simple', 'servlet-api', 'jetty9-util-ajax']
  const jars = names.map(name => join(DEBIAN_JARS, `${name}.jar`))
  return { java, classPath: jars.filter(jar => existsSync(jar)).join(delimiter) }
}

function hasServerJar(folder: string): boolean {
  return (
    existsSync(folder) && statSync(folder).isDirectory() && readdirSync(folder).some(name => JAR.test(name))
  )
}

function findJava(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const name = process.platform === 'win32' ? 'java.exe' : 'java'
  const folders = (env['PATH'] ?? '').split(delimiter).filter(folder => folder !== '')
  if (env['JAVA_HOME']) folders.unshift(join(env['JAVA_HOME'], 'bin'))
  return folders.map(folder => join(folder, name)).find(path => existsSync(path))
}
