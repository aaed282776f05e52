/** `npm run start-up`: the start alone. */
import { reportStart } from './report.js'

const progress = (text) => process.stderr.write(`${text}\n`)
for (const { title, text } of reportStart({}, progress)) console.log(`\n${title}\n\n${text}`)
