/** One figure at one time. */
export interface Point {
  readonly atMs: number
  readonly value: number
}

/** How a figure moves, in units an hour, and how far that may be off (one standard error). */
export interface Trend {
  readonly perHour: number
  readonly errorPerHour: number
}

export type Verdict = 'flat' | 'grows' | 'unsure'

/** So many parts of the time become one point each: their median, which no peak moves. */
const BLOCKS = 20
const HOUR_MS = 3_600_000

/** The straight line through the medians of the points, by least squares. */
export function trendOf(points: readonly Point[]): Trend {
  const blocks = mediansOf(points)
  const count = blocks.length
  const meanHours = mean(blocks.map(({ atMs }) => atMs / HOUR_MS))
  const meanValue = mean(blocks.map(({ value }) => value))
  let squares = 0
  let products = 0
  for (const { atMs, value } of blocks) {
    const hours = atMs / HOUR_MS - meanHours
    squares += hours * hours
    products += hours * (value - meanValue)
  }
  if (count < 3 || squares === 0) return { perHour: 0, errorPerHour: Infinity }
  const perHour = products / squares
  const residuals = blocks.map(
    ({ atMs, value }) => value - meanValue - perHour * (atMs / HOUR_MS - meanHours),
  )
  const variance = residuals.reduce((sum, residual) => sum + residual * residual, 0) / (count - 2)
  return { perHour, errorPerHour: Math.sqrt(variance / squares) }
}

/** It grows where it would do so beyond the bound even if it were off by two standard errors; flat is the opposite. */
export function judge({ perHour, errorPerHour }: Trend, boundPerHour: number): Verdict {
  if (perHour - 2 * errorPerHour > boundPerHour) return 'grows'
  return perHour + 2 * errorPerHour <= boundPerHour ? 'flat' : 'unsure'
}

function mediansOf(points: readonly Point[]): Point[] {
  const blocks: Point[] = []
  const size = Math.max(1, Math.ceil(points.length / BLOCKS))
  for (let start = 0; start < points.length; start += size) {
    const block = points.slice(start, start + size)
    const values = block.map(({ value }) => value).sort((a, b) => a - b)
    blocks.push({ atMs: mean(block.map(({ atMs }) => atMs)), value: values[values.length >> 1]! })
  }
  return blocks
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
