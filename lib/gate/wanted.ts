/** What a call wants downstream, as one text: it tells challenges apart. */

/** Its tenant, if it is another than the user's own, and its scopes. */
export function wantedBy(request: {
  readonly scopes: readonly string[]
  readonly tenantId?: string
}): string {
  const { scopes, tenantId = '' } = request
  return [tenantId, ...scopes].join(' ')
}

/** The scopes in it. */
export function wantedScopes(wanted: string): readonly string[] {
  return wanted.split(' ').slice(1)
}
