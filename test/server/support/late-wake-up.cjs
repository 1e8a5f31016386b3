// Loaded before a server: each wake-up of another thread comes once more, when there is nothing left to do for it. So it does
// where the thread that gives it is held up until the other has found by itself what there was to do.
const { isMainThread } = require('node:worker_threads')

if (isMainThread) {
  const { notify } = Atomics
  Atomics.notify = (...args) => {
    setTimeout(() => notify(...args), 5)
    return notify(...args)
  }
}
