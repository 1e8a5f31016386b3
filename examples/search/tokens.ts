/** Words: letters or digits of any script, with the accents and vowel signs that follow them. */
const word = /[\p{L}\p{N}][\p{L}\p{N}\p{M}]*/gu

/** The words of a text in lower case, in their order. */
export function tokenize(text: string): string[] {
  return text.normalize('NFC').toLowerCase().match(word) ?? []
}

/** The distinct words of a query, in the order in which they were asked for. */
export function queryTerms(query: string): string[] {
  return [...new Set(tokenize(query))]
}
