/** The tools of the notes server: who you are, your notes, and your profile in the emulated Graph. */
import { authOf, downstreamToken, userOf } from '../../auth-info.js'
import type { AuthenticatedRequest } from '../../require-bearer.js'
import type { Tool } from './mcp-endpoint.js'

const nothing = { type: 'object', properties: {} } as const
const longestNote = 4000
const mostNotes = 100

/** Seconds to wait for Graph. */
const graphDeadline = 10

/** @param graphUrl such as `http://localhost:3301/v1.0` */
export function notesTools(graphUrl: string): Readonly<Record<string, Tool>> {
  const notes = new Map<string, readonly string[]>()
  // Tenant and object id never change. Names do, and `sub` differs from app to app.
  const owner = (req: AuthenticatedRequest) => {
    const { tid, oid } = userOf(authOf(req))
    return `${tid}/${oid}`
  }
  return {
    whoami: {
      description: 'Who you are, and which scopes this login has',
      inputSchema: nothing,
      call(req) {
        const auth = authOf(req)
        return { user: userOf(auth), scopes: auth.scopes }
      },
    },
    list_notes: {
      description: 'Your notes',
      inputSchema: nothing,
      call: (req) => notes.get(owner(req)) ?? [],
    },
    add_note: {
      description: 'Adds a note. Needs the scope notes.write, so clients have to step up.',
      inputSchema: {
        type: 'object',
        properties: { text: { type: 'string', minLength: 1, maxLength: longestNote } },
        required: ['text'],
      },
      call(req, { text }) {
        if (typeof text !== 'string' || text === '' || text.length > longestNote) {
          throw new Error(`text must be a string of 1 to ${longestNote} characters`)
        }
        const mine = [...(notes.get(owner(req)) ?? []), text].slice(-mostNotes)
        notes.set(owner(req), mine)
        return mine
      },
    },
    my_profile: {
      description: 'Your profile in Microsoft Graph (emulated), on your behalf',
      inputSchema: nothing,
      async call(req) {
        const token = await downstreamToken(authOf(req), 'graph')
        const response = await fetch(`${graphUrl}/me`, {
          headers: { authorization: `Bearer ${token}` },
          signal: AbortSignal.timeout(graphDeadline * 1000),
        })
        if (!response.ok) throw new Error(`Graph answered ${response.status}`)
        return response.json()
      },
    },
  }
}
