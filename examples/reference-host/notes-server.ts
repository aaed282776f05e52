/** The MCP server behind the gate: five tools. `extra.authInfo` tells each of them who is calling. */
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { UrlElicitationRequiredError } from '@modelcontextprotocol/sdk/types.js'
import { askUser, downstreamToken } from 'mcp-entra'
import { z } from 'zod'
import type { Notebook } from './notebook.js'

const text = (value: unknown) => ({
  content: [{ type: 'text' as const, text: JSON.stringify(value, null, 2) }],
})

/** Seconds to wait for Graph. */
const graphDeadline = 10

/** What a server is made with. */
export interface NotesServerOptions {
  readonly notes: Notebook
  readonly graphUrl: string
  /** Whether the caller is to see the tool: it can call it, or could after another login. */
  readonly shows: (tool: string) => boolean
}

/** A fresh server for one request: its caller sees no tool that it can never call. */
export function notesServer({ notes, graphUrl, shows }: NotesServerOptions): McpServer {
  const server = new McpServer({ name: 'notes', version: '1.0.0' })

  server.registerTool(
    'whoami',
    { description: 'Who you are, and which application is asking' },
    (extra) => {
      const { authInfo } = extra
      return text({
        user: authInfo?.extra?.user,
        client: authInfo?.clientId,
        scopes: authInfo?.scopes,
      })
    },
  )

  server.registerTool('list_notes', { description: 'Your notes' }, (extra) =>
    text(notes.of(extra.authInfo)),
  )

  server.registerTool(
    'add_note',
    { description: 'Adds a note', inputSchema: { text: z.string().min(1).max(4000) } },
    (args, extra) => text(notes.add(extra.authInfo, args.text)),
  )

  server.registerTool(
    'my_profile',
    { description: 'Your profile in Microsoft Graph' },
    async (extra) => {
      // Entra may want MFA or consent first. The client shows its user where, and calls again.
      const ask = (error: unknown) => askUser(error, extra, UrlElicitationRequiredError)
      const token = await downstreamToken(extra.authInfo, 'graph').catch(ask)
      const response = await fetch(`${graphUrl}/me`, {
        headers: { authorization: `Bearer ${token}` },
        signal: AbortSignal.timeout(graphDeadline * 1000),
      })
      if (!response.ok) throw new Error(`Microsoft Graph answered ${response.status}`)
      return text(await response.json())
    },
  )

  if (shows('audit')) {
    server.registerTool('audit', { description: 'How many notes there are, and whose' }, () =>
      text(notes.audit()),
    )
  }

  return server
}
