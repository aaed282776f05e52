/** What a real MCP client keeps between its requests, and the browser it sends its user to. */
import type { Browser } from '../../examples/demo/browser.js'
import { newBrowser, redirectUri } from './oauth-client.js'

/** An `OAuthClientProvider` for both generations of the SDK: everything in memory. */
export class TestProvider {
  readonly redirectUrl = redirectUri
  readonly clientMetadata = {
    client_name: 'SDK client',
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  }
  readonly browser: Browser = newBrowser()
  /** Addresses the client sent its user to. */
  readonly sentTo: URL[] = []
  private readonly kept = new Map<string, unknown>()

  constructor(private readonly user: string) {}

  state(): string {
    return 'sdk-state'
  }
  // biome-ignore lint/suspicious/noExplicitAny: each SDK generation has its own type for the same JSON
  clientInformation(): any {
    return this.kept.get('client')
  }
  saveClientInformation(information: unknown): void {
    this.kept.set('client', information)
  }
  // biome-ignore lint/suspicious/noExplicitAny: as above
  tokens(): any {
    return this.kept.get('tokens')
  }
  saveTokens(tokens: unknown): void {
    this.kept.set('tokens', tokens)
  }
  saveCodeVerifier(verifier: string): void {
    this.kept.set('verifier', verifier)
  }
  codeVerifier(): string {
    return String(this.kept.get('verifier'))
  }
  redirectToAuthorization(url: URL): void {
    this.sentTo.push(url)
  }
  // biome-ignore lint/suspicious/noExplicitAny: as above
  discoveryState(): any {
    return this.kept.get('discovery')
  }
  saveDiscoveryState(state: unknown): void {
    this.kept.set('discovery', state)
  }
  invalidateCredentials(what: string): void {
    if (what === 'all' || what === 'client') this.kept.delete('client')
    if (what === 'all' || what === 'tokens') this.kept.delete('tokens')
    if (what === 'all' || what === 'verifier') this.kept.delete('verifier')
    if (what === 'all' || what === 'discovery') this.kept.delete('discovery')
  }

  /** Signs the user in where the client last sent them, approving on the way. */
  async signIn(): Promise<URLSearchParams> {
    const target = new URL(this.sentTo.at(-1) ?? '')
    target.searchParams.set('login_hint', this.user)
    const consent = await this.browser.open(target.href)
    const answer = await this.browser.press(consent, 'approve')
    return new URL(answer.url).searchParams
  }
}
