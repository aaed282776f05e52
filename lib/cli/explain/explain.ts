/** `mcp-entra explain`: says what a thing is, in plain words. Nothing leaves this machine. */

import { exitCodes } from '../exit-codes.js'
import type { Io } from '../io.js'
import { UsageError } from '../usage-error.js'
import { explainChallenge, isChallenge } from './challenge.js'
import { explainCode } from './code.js'
import { explainErrorUrl } from './error-url.js'
import { type Explanation, formatExplanation } from './explanation.js'
import { explainToken, type TokenContext, tokenIn } from './token.js'

export interface ExplainOptions {
  readonly tenant?: string
  readonly clientId?: string
  readonly baseUrl?: string
  readonly resource: string
  readonly json?: boolean
}

/** @throws UsageError for what cannot be explained; the message does not repeat it */
export async function explain(what: string, options: ExplainOptions, io: Io): Promise<number> {
  const text = (what === '-' ? await readInput(io) : what).trim()
  const explanation = await explainText(text, contextOf(options, io))
  io.out(
    options.json ? `${JSON.stringify(explanation, null, 2)}\n` : formatExplanation(explanation),
  )
  if (what !== '-' && tokenIn(text) !== undefined) {
    io.err('Note: the token is now in the history of your shell. Next time: mcp-entra explain -\n')
  }
  return exitCodes.ok
}

async function explainText(text: string, context: TokenContext): Promise<Explanation> {
  const token = tokenIn(text)
  if (token !== undefined) return explainToken(token, context)
  if (isChallenge(text)) return explainChallenge(text)
  if (/^https?:\/\//i.test(text) && URL.canParse(text)) return explainErrorUrl(new URL(text))
  const [, code] = /(?:^|\bAADSTS)(\d{4,8})(?!\d)/i.exec(text) ?? []
  if (code !== undefined) return explainCode(Number(code))
  throw new UsageError(
    'explain: this is no JWT, AADSTS code, WWW-Authenticate header or error URL. Refresh tokens, codes and client ids of this server are sealed: only the server can open them.',
  )
}

function contextOf({ tenant, clientId, baseUrl, resource }: ExplainOptions, io: Io): TokenContext {
  const { env } = io
  return {
    tenantId: tenant ?? env.AZURE_TENANT_ID,
    clientId: clientId ?? env.AZURE_CLIENT_ID,
    authorityHost: env.AZURE_AUTHORITY_HOST || undefined,
    baseUrl: (baseUrl ?? env.BASE_URL)?.replace(/\/$/, ''),
    resource,
    keys: env.MCP_ENTRA_KEYS,
    now: io.now,
  }
}

/** Longest input, in characters: tokens have at most a few thousand. */
const longestInput = 65_536

async function readInput({ stdin }: Io): Promise<string> {
  let text = ''
  for await (const chunk of stdin) {
    text += String(chunk)
    if (text.length > longestInput) throw new UsageError('explain: the input is too long')
  }
  return text
}
