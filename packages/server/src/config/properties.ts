/** Lines of `key=value` as in a Java properties file: comments begin with # or !, and a backslash continues a line. */
export function readProperties(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const line of text.replace(/\\\r?\n\s*/g, '').split(/\r?\n/)) {
    const match = /^\s*([^#!=:\s][^=:\s]*)\s*[=:\s]\s*(.*?)\s*$/.exec(line)
    if (match) found.set(match[1]!.replace(/^zookeeper\./, ''), match[2]!)
  }
  return found
}
