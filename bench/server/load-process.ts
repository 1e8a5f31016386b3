// The load generator, in a process of its own: its argument is a load, its one line of output the figures.
import { runLoad, type Load } from './loads.js'

const figures = await runLoad(JSON.parse(process.argv[2]!) as Load)
process.stdout.write(JSON.stringify(figures) + '\n', () => process.exit(0))
