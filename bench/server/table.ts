/** Rows of figures, one column for each server, and how much better the first is than the second. */
export class Table {
  readonly #columns: readonly string[]
  readonly #rows = new Map<
    string,
    { readonly better: 'more' | 'less'; readonly values: Map<string, number> }
  >()

  constructor(columns: readonly string[]) {
    this.#columns = columns
    process.stdout.write(line('', [...columns, 'times better']))
  }

  set(row: string, column: string, value: number, better: 'more' | 'less' = 'less'): void {
    let there = this.#rows.get(row)
    if (there === undefined) this.#rows.set(row, (there = { better, values: new Map() }))
    there.values.set(column, value)
  }

  /** Prints the rows that were set since the last time. */
  flush(): void {
    for (const [row, { better, values }] of this.#rows) {
      const [first = NaN, second = NaN] = this.#columns.map(column => values.get(column) ?? NaN)
      const times = better === 'more' ? first / second : second / first
      const cells = [...values.values()].map(format)
      process.stdout.write(line(row, Number.isNaN(times) ? cells : [...cells, times.toFixed(1)]))
    }
    this.#rows.clear()
  }
}

function format(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString('en') : value.toPrecision(3)
}

function line(row: string, cells: readonly string[]): string {
  return row.padEnd(52) + cells.map(cell => cell.padStart(13)).join('') + '\n'
}
