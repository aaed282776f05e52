/** Notes in memory, each user's own. */
import { type AuthInfoLike, userOf } from 'mcp-entra'

/** The notes of everybody. */
export interface Notebook {
  of(auth: AuthInfoLike | undefined): readonly string[]
  add(auth: AuthInfoLike | undefined, text: string): readonly string[]
}

const mostNotes = 100
const mostUsers = 10_000

/** Keyed by tenant and object id: neither a name nor `sub` says who somebody is across apps. */
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
  }
}
