#!/usr/bin/env node
// Committed, so that npm links the command when it installs a clone, which is before anything is built.
import '../dist/bin.js'
