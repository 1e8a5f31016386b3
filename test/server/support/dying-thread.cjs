// Loaded before a server, and in its threads: the log's ends after it has written its third batch, and before it tells.
const fs = require('node:fs')
const { isMainThread } = require('node:worker_threads')

if (!isMainThread) {
  const { fdatasyncSync } = fs
  let syncs = 0
  fs.fdatasyncSync = descriptor => {
    if (++syncs === 3) process.exit()
    fdatasyncSync(descriptor)
  }
  require('node:module').syncBuiltinESMExports()
}
