import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/**
 * A fenced block of TypeScript in a document: a program of its own. Its comments say what it does, and are held to it:
 *
 * - `// prints: text`, one for each line of output, in the order of the output; `…` in it stands for any text;
 * - `// Goes on until it is stopped.`, where it does not end by itself.
 *
 * A server's address (`127.0.0.1:2181`, or several) stands for an empty tree on the server of the test.
 */
export interface Example {
  readonly document: string
  /** Of its first line of code, from 1. */
  readonly line: number
  readonly code: string
  readonly prints: readonly string[]
  readonly isEndless: boolean
}

/** All examples of a document, which is named by its path from the root of the repository. */
export function examplesIn(document: string): readonly Example[] {
  const text = readFileSync(`${root}${document}`, 'utf8')
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(({ 1: code = '', index }) => ({
    document,
    line: text.slice(0, index).split('\n').length + 1,
    code,
    prints: [...code.matchAll(/\/\/ prints: (.*)$/gm)].map(match => match[1]!),
    isEndless: code.includes('// Goes on until it is stopped.'),
  }))
}

const ADDRESSES = /[\w.-]+:2181(?:,[\w.-]+:2181)*/g

/** The code with each address replaced, and the chroots that it expects to find. */
export function atServer(code: string, connectString: string): { code: string; chroots: readonly string[] } {
  const chroots = [...code.matchAll(/'[\w.-]+:2181(?:,[\w.-]+:2181)*(\/[\w/]+)'/g)].map(match => match[1]!)
  return { code: code.replaceAll(ADDRESSES, connectString), chroots }
}

/** Whether a line is the one announced. */
export function matches(announced: string, line: string): boolean {
  let at = 0
  const parts = announced.split('…')
  return parts.every((part, index) => {
    const found = index === parts.length - 1 && index > 0 ? line.length - part.length : line.indexOf(part, at)
    if (found < at || !line.startsWith(part, found) || (index === 0 && found !== 0)) return false
    at = found + part.length
    return index < parts.length - 1 || at === line.length
  })
}
