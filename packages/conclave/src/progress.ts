/** Shows how far a job is. */
export interface Progress {
  update(done: number, failed: number): void
  /** Writes a line to standard error, above the bar. */
  interrupt(line: string): void
  /** Takes the bar off the screen. */
  stop(): void
}

/** Where there is no terminal: no line before this time, and then no more than one in it. */
const LINE_EVERY_MS = 5_000

/** A bar where standard error is a terminal, a plain line every few seconds otherwise. */
export async function showProgress(total: number): Promise<Progress> {
  return process.stderr.isTTY ? bar(total) : lines(total)
}

async function bar(total: number): Promise<Progress> {
  const { SingleBar } = await import('cli-progress')
  const bar = new SingleBar({
    format: '{bar} {percentage} % | {value} of {total} tasks | {failed} failed | {eta_formatted} left',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stderr,
  })
  bar.start(total, 0, { failed: 0 })
  return {
    update: (done, failed) => bar.update(done, { failed }),
    interrupt: line => process.stderr.write(`\r\u001b[K${line}\n`),
    stop: () => bar.stop(),
  }
}

function lines(total: number): Progress {
  let lastMs = performance.now()
  return {
    update(done, failed) {
      const nowMs = performance.now()
      if (nowMs - lastMs < LINE_EVERY_MS) return
      lastMs = nowMs
      process.stderr.write(`${done} of ${total} tasks done${failed === 0 ? '' : `, ${failed} failed`}\n`)
    },
    interrupt: line => process.stderr.write(`${line}\n`),
    stop: () => {},
  }
}
