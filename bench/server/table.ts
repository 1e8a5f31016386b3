interface Row {
  readonly better: 'more' | 'less'
  /** Of each column, as they were measured. */
  readonly values: Map<string, number[]>
}

/**
 * Rows of figures, a column for each server: the median of what was measured, with the least and the most, and how much better
 * the median of the first is than that of the second.
 */
export class Table {
  readonly #columns: readonly string[]
  readonly #rows = new Map<string, Row>()

  constructor(columns: readonly string[]) {
    this.#columns = columns
    process.stdout.write(line('', [...columns, 'times better']))
  }

  add(rowName: string, column: string, value: number, better: 'more' | 'less' = 'less'): void {
    let row = this.#rows.get(rowName)
    if (row === undefined) this.#rows.set(rowName, (row = { better, values: new Map() }))
    const values = row.values.get(column)
    if (values === undefined) row.values.set(column, [value])
    else values.push(value)
  }

  /** Prints the rows that were added since the last time. */
  flush(): void {
    for (const [rowName, { better, values }] of this.#rows) {
      const columns = this.#columns.map(column => (values.get(column) ?? []).toSorted((a, b) => a - b))
      const [first = NaN, second = NaN] = columns.map(median)
      const times = better === 'more' ? first / second : second / first
      const cells = columns.map(describe)
      process.stdout.write(line(rowName, Number.isNaN(times) ? cells : [...cells, times.toFixed(1)]))
    }
    this.#rows.clear()
  }
}

function median(ascending: readonly number[]): number {
  return ascending[ascending.length >> 1] ?? NaN
}

function describe(ascending: readonly number[]): string {
  const text = format(median(ascending))
  return ascending.length < 2 ? text : `${text} (${format(ascending[0]!)} - ${format(ascending.at(-1)!)})`
}

function format(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString('en') : value.toPrecision(3)
}

function line(row: string, cells: readonly string[]): string {
  return row.padEnd(52) + cells.map(cell => cell.padStart(30)).join('') + '\n'
}
