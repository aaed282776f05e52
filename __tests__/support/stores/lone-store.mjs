/** A store that each process has for itself: no store at all for several. */
import { memoryStorage } from '../../../dist/storage/memory.js'

export default function create() {
  return { storage: memoryStorage(), close() {} }
}
