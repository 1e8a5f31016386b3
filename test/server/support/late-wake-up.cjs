// Loaded before a server: each wake-up of the log's thread comes once more, when there is nothing left to do for it. So it
// does where the thread that gives it is held up until the other has found by itself what there was to do.
const { isMainThread } = require('node:worker_threads')

if (isMainThread) {
  const { notify } = Atomics
  Atomics.notify = (counts, asked) => {
    notify(counts, asked)
    while (Atomics.load(counts, 0) !== Atomics.load(counts, 1));
    // Until the thread was asleep.
    while (notify(counts, asked) === 0);
    return 1
  }
}
