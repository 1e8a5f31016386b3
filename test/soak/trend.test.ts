import { expect, test } from 'vitest'
import { judge, trendOf, type Point } from '../../bench/soak/trend.ts'

const MINUTE_MS = 60_000

/** One point each ten seconds of ten minutes. */
function points(value: (minute: number, index: number) => number): Point[] {
  return Array.from({ length: 60 }, (_, i) => ({ atMs: 5_000 + i * 10_000, value: value(i / 6, i) }))
}

/** From -1 to 1, the same each time. */
const noise = (index: number): number => Math.sin(index * 7.3) * Math.cos(index * 1.7)

test('trend - a straight line is found as it is, and a level one is level', () => {
  expect(trendOf(points(minute => 100 + minute)).perHour).toBeCloseTo(60)
  expect(trendOf(points(() => 100))).toEqual({ perHour: 0, errorPerHour: 0 })
})

test('trend - peaks do not move it', () => {
  const { perHour } = trendOf(points((minute, i) => 100 + minute + (i % 3 === 2 ? 1_000 * i : 0)))
  expect(perHour).toBeGreaterThan(50)
  expect(perHour).toBeLessThan(70)
})

test('trend - noise is no growth, and does not hide growth', () => {
  expect(judge(trendOf(points((_minute, i) => 100 + noise(i))), 40)).toBe('flat')
  expect(judge(trendOf(points((minute, i) => 100 + noise(i) + 2 * minute)), 40)).toBe('grows')
})

test('trend - what falls is flat', () => {
  expect(judge(trendOf(points(minute => 100 - minute)), 5)).toBe('flat')
})

test('trend - where there is too little to tell from, nothing is told', () => {
  const few = points(minute => minute).slice(0, 2)
  expect(judge(trendOf(few), 5)).toBe('unsure')
  expect(judge(trendOf([{ atMs: MINUTE_MS, value: 1 }]), 5)).toBe('unsure')
  expect(judge(trendOf(points((_minute, i) => 100 * noise(i)).slice(0, 12)), 5)).toBe('unsure')
})
