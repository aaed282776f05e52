/** The demo's MCP client: it keeps in memory what the SDK asks an application to keep. */
import type { OAuthClientProvider } from '@modelcontextprotocol/sdk/client/auth.js'
import type {
  OAuthClientInformationMixed,
  OAuthClientMetadata,
  OAuthTokens,
} from '@modelcontextprotocol/sdk/shared/auth.js'

/** A client that registers itself. */
export class DemoClient implements OAuthClientProvider {
  readonly redirectUrl = 'http://127.0.0.1:33418/callback'
  readonly clientMetadata: OAuthClientMetadata
  /** Where the client has sent its user to log in, the last one at the end. */
  readonly sentTo: URL[] = []
  private client: OAuthClientInformationMixed | undefined
  private currentTokens: OAuthTokens | undefined
  private verifier = ''

  /** @param name as users see it */
  constructor(name: string) {
    this.clientMetadata = {
      client_name: name,
      redirect_uris: [this.redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    }
  }

  state(): string {
    return crypto.randomUUID()
  }
  information(): OAuthClientInformationMixed | undefined {
    return this.client
  }
  clientInformation(): OAuthClientInformationMixed | undefined {
    return this.client
  }
  saveClientInformation(information: OAuthClientInformationMixed): void {
    this.client = information
  }
  tokens(): OAuthTokens | undefined {
    return this.currentTokens
  }
  saveTokens(tokens: OAuthTokens): void {
    this.currentTokens = tokens
  }
  redirectToAuthorization(url: URL): void {
    this.sentTo.push(url)
  }
  saveCodeVerifier(verifier: string): void {
    this.verifier = verifier
  }
  codeVerifier(): string {
    return this.verifier
  }
  invalidateCredentials(scope: 'all' | 'client' | 'tokens' | 'verifier' | 'discovery'): void {
    if (scope === 'all' || scope === 'client') this.client = undefined
    if (scope === 'all' || scope === 'tokens') this.currentTokens = undefined
  }
}
