/** The demo's MCP client: what an application keeps for the SDK, in memory. */
import type { OAuthClientProvider } from '@modelcontextprotocol/sdk/client/auth.js'
import type {
  OAuthClientInformationMixed,
  OAuthTokens,
} from '@modelcontextprotocol/sdk/shared/auth.js'

export class DemoClient implements OAuthClientProvider {
  readonly redirectUrl = 'http://127.0.0.1:33418/callback'
  readonly clientMetadata = {
    client_name: 'Demo client',
    redirect_uris: [this.redirectUrl],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  }
  /** Where the client wanted to send its user. */
  readonly sentTo: URL[] = []
  private client: OAuthClientInformationMixed | undefined
  private currentTokens: OAuthTokens | undefined
  private verifier = ''

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
