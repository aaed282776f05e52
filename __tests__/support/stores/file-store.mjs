/** A file storage for child processes, in the directory FILE_STORAGE_PATH names: what the build made. */
import { fileStorage } from '../../../dist/storage/file.js'

export default function create() {
  const storage = fileStorage({ path: process.env.FILE_STORAGE_PATH })
  return { storage, close: () => storage.close() }
}
