/** A store whose process is killed by the first `add`: see `testing/describe-storage.test.ts`. */
import { memoryStorage } from '../../../dist/storage/memory.js'

export default function create() {
  const add = () => process.kill(process.pid, 'SIGKILL')
  return { storage: { ...memoryStorage(), add }, close: () => undefined }
}
