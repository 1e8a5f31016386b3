// Imported by a task thread before its task modules, so that these can be TypeScript on every version of Node.js.

import { register as registerHooks } from 'node:module'
import { register as registerForRequire } from 'tsx/cjs/api'
import { register as registerForImport } from 'tsx/esm/api'

registerForRequire()
registerForImport()
registerHooks('./typescript-format.js', import.meta.url)
