// Loaded before a server, and in its threads: the log's ends after it has written its first batch, and before it tells.
const fs = require('node:fs')
const { isMainThread } = require('node:worker_threads')

if (!isMainThread) {
  fs.fdatasyncSync = () => process.exit()
  require('node:module').syncBuiltinESMExports()
}
