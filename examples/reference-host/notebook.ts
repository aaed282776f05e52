/** Notes in memory, separate for each user. */
import { type AuthInfoLike, userOf } from 'mcp-entra'

/** The notes of all users. */
export interface Notebook {
  of(auth: AuthInfoLike | undefined): readonly string[]
  add(auth: AuthInfoLike | undefined, text: string): readonly string[]
  /** For administrators: who has how many notes, and not what they say. */
  audit(): readonly NoteCount[]
}

/** A user, and how many notes they have. */
export interface NoteCount {
  readonly tid: string
  readonly oid: string
  readonly notes: number
}

const mostNotes = 100
const mostUsers = 10_000

/** Keyed by tenant and object id, which never change. Names do, and `sub` differs from app to app. */
export function notebook(): Notebook {
  const notes = new Map<string, readonly string[]>()
  const owner = (auth: AuthInfoLike | undefined) => {
    const { tid, oid } = userOf(auth)
    return `${tid}/${oid}`
  }
  return {
    of: (auth) => notes.get(owner(auth)) ?? [],
    add(auth, text) {
      const key = owner(auth)
      const mine = [...(notes.get(key) ?? []), text.slice(0, 4000)].slice(-mostNotes)
      notes.delete(key)
      notes.set(key, mine)
      const [oldest] = notes.keys()
      if (notes.size > mostUsers && oldest !== undefined) notes.delete(oldest)
      return mine
    },
    audit: () =>
      [...notes].map(([key, { length }]) => {
        const [tid = '', oid = ''] = key.split('/')
        return { tid, oid, notes: length }
      }),
  }
}
