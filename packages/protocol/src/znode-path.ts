/**
 * Why a string cannot be the path of a znode, or `undefined` when it can. The rules are those of ZooKeeper's
 * `PathUtils.validatePath`. With `sequential` the path may end in `/`, because a number follows.
 */
export function pathProblem(path: string, sequential: boolean = false): string | undefined {
  if (typeof path !== 'string') return 'a path must be a string'
  const checked = sequential ? path + '1' : path
  if (checked.length === 0) return 'a path cannot be empty'
  if (checked.charCodeAt(0) !== 0x2f) return 'a path must start with /'
  if (checked.length === 1) return undefined
  if (checked.charCodeAt(checked.length - 1) === 0x2f) return 'a path must not end with /'
  let nameStart = 1
  for (let i = 1; i <= checked.length; i++) {
    const code = i === checked.length ? 0x2f : checked.charCodeAt(i)
    if (code === 0x2f) {
      const length = i - nameStart
      if (length === 0) return `empty name at character ${i}`
      if (checked.charCodeAt(nameStart) === 0x2e) {
        if (length === 1) return `relative name . at character ${nameStart}`
        if (length === 2 && checked.charCodeAt(nameStart + 1) === 0x2e)
          return `relative name .. at character ${nameStart}`
      }
      nameStart = i + 1
    } else if (isForbidden(code)) {
      return `invalid character U+${code.toString(16).padStart(4, '0')} at character ${i}`
    }
  }
  return undefined
}

/** Control characters, surrogates, private use, and the non-characters at the end of the plane. */
function isForbidden(code: number): boolean {
  return (
    code <= 0x1f || (code >= 0x7f && (code <= 0x9f || (code >= 0xd800 && code <= 0xf8ff) || code >= 0xfff0))
  )
}

/** The path of the znode above; the root is above itself. */
export function parentPath(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash <= 0 ? '/' : path.slice(0, slash)
}

/** The last name of a path; empty for the root. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

/** The path of a child. */
export function childPath(parent: string, name: string): string {
  return parent === '/' ? `/${name}` : `${parent}/${name}`
}

/**
 * The sequence number (a signed 32-bit value) that follows the last `prefix` in a name, or `undefined` where none
 * does. The prefix is needed: in `lock-2147483647` only it says whether the hyphen is a sign.
 */
export function sequenceOf(name: string, prefix: string): number | undefined {
  const at = name.lastIndexOf(prefix)
  if (at === -1) return undefined
  const digits = name.slice(at + prefix.length)
  return /^-?\d{9,10}$/.test(digits) ? Number(digits) : undefined
}

/**
 * Compares two sequence numbers by serial arithmetic, so that the order survives the wrap from 2147483647 to
 * -2147483648 as long as the numbers that live together lie within half the range.
 */
export function compareSequences(a: number, b: number): number {
  return (a - b) | 0
}

/** The number as the server appends it: Java's `%010d`, so a negative one is `-` and nine digits at the least. */
export function formatSequence(sequence: number): string {
  return sequence < 0 ? `-${String(-sequence).padStart(9, '0')}` : String(sequence).padStart(10, '0')
}
