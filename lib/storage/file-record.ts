/** How the file storage writes a record and its place in the order of expiry. */
import { randomBytes } from 'node:crypto'

/** A record as it stands in the file. */
export interface FileRecord {
  /** When it ends, in milliseconds. */
  readonly expiresAt: number
  /** Unique: a change names the version of the record it has seen. */
  readonly version: number
  /** The whole record: time, version, value. */
  readonly bytes: Buffer
}

const timeBytes = 8
const versionBytes = 8
const headBytes = timeBytes + versionBytes

/** A new record. Copies the value. */
export function newRecord(value: Uint8Array, expiresAt: number): FileRecord {
  const bytes = Buffer.alloc(headBytes + value.length)
  const version = randomBytes(6).readUIntBE(0, 6)
  bytes.writeDoubleBE(expiresAt)
  bytes.writeDoubleBE(version, timeBytes)
  bytes.set(value, headBytes)
  return { expiresAt, version, bytes }
}

export function readRecord(bytes: Buffer): FileRecord {
  return { expiresAt: bytes.readDoubleBE(), version: bytes.readDoubleBE(timeBytes), bytes }
}

/** The caller's own copy of the value. */
export function valueIn({ bytes }: FileRecord): Uint8Array {
  return new Uint8Array(bytes.subarray(headBytes))
}

/** The record's place in the order of expiry. Big-endian doubles that are not negative sort as their bytes do. */
export function placeOf({ expiresAt }: FileRecord, key: Buffer): Buffer {
  const place = Buffer.alloc(timeBytes + key.length)
  place.writeDoubleBE(expiresAt)
  place.set(key, timeBytes)
  return place
}

/** When the record of this place ends. */
export function timeAt(place: Buffer): number {
  return place.readDoubleBE()
}

/** The key of the record of this place. */
export function keyAt(place: Buffer): Buffer {
  return place.subarray(timeBytes)
}
