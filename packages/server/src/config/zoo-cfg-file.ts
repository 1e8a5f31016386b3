import { codeOf, UsageError } from '@conclave/core'
import { readConfigFile } from './config-file.ts'
import { readProperties } from './properties.ts'
import { readZooCfg, type ZooCfg } from './zoo-cfg.ts'

/** What a `zoo.cfg` says, with the files that it names. Throws `UsageError` where one of them cannot be used. */
export function readZooCfgFile(path: string): ZooCfg {
  return readZooCfg(readText(path))
}

/** The data folder that a `zoo.cfg` names, whatever else is wrong with it. Throws `UsageError` where it names none. */
export function readDataDir(path: string): string {
  const dataDir = readProperties(readText(path)).get('dataDir')
  if (dataDir === undefined || dataDir === '') {
    throw new UsageError(`the configuration ${path} names no dataDir`)
  }
  return dataDir
}

function readText(path: string): string {
  try {
    return readConfigFile(path)
  } catch (error) {
    throw new UsageError(`cannot read the configuration ${path} (${codeOf(error) ?? 'unknown error'})`, error)
  }
}
