/** A text of several lines in one, so that it can be part of a sentence. */
export function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, ' ')
}
