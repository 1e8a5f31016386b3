// Loaded before a server: it can start no thread.
require('node:worker_threads').Worker = class {
  constructor() {
    throw new Error('no more threads')
  }
}
