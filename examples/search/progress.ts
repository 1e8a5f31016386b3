const WIDTH = 40

/** How many plain lines a whole job gives where there is no terminal. */
const LINES = 4

/** How far the job is: a bar that is drawn over itself on a terminal, a few plain lines otherwise. */
export class Progress {
  readonly #total: number
  readonly #isTerminal = process.stdout.isTTY
  #shown = 0

  constructor(total: number) {
    this.#total = total
  }

  update(done: number): void {
    const steps = this.#isTerminal ? WIDTH : LINES
    const step = Math.floor((done / this.#total) * steps)
    if (step === this.#shown) return
    this.#shown = step
    const percent = `${Math.floor((done / this.#total) * 100)} %`
    if (!this.#isTerminal) return console.log(`${done} of ${this.#total} tasks done (${percent})`)
    const bar = '█'.repeat(step).padEnd(WIDTH, '░')
    process.stdout.write(`\r${bar} ${percent.padStart(5)} of ${this.#total} tasks`)
  }

  /** Takes the bar off the screen. */
  end(): void {
    if (this.#isTerminal) process.stdout.write('\r\u001b[K')
  }
}
