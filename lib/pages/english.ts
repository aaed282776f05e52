/**
 * What our pages say, in English. Another language is a table of the same keys: each of its texts has the same slots
 * (`{server}`), in any order. Texts and what fills the slots are plain text: HTML in them is shown, not obeyed.
 */
export const english = {
  // The consent page: an application asks for access.

  /** Title of the window. `{server}`: the name of this server. */
  consentTitle: 'Allow access to {server}?',
  /** Heading. `{client}`: the application's name. */
  consentQuestion: 'Allow {client} to use {server}?',
  /** In the place of a name. */
  namelessClient: 'An application without a name',
  nameFromOperator: 'The operator of this server knows this application.',
  /** `{host}`: the host whose document names the application. */
  nameFromDocument:
    'The application chose this name itself; this server has checked that it belongs to {host}.',
  nameUnchecked: 'The application chose this name itself; nobody has checked it.',
  continueIfYours: 'Continue only if you started this sign-in.',
  /** Above the host that publishes the application. */
  publishedAt: 'The application is published at',
  /** Above the host that gets the sign-in. */
  destination: 'Where your sign-in goes',
  /** `{host}`: a loopback address. */
  hostOnThisDevice: '{host} (this device)',
  /** `{scheme}`: such as `cursor:`. */
  schemeOnThisDevice: 'the application on this device that handles "{scheme}" links',
  /** First words of the warning, in bold. */
  deviceWarning: 'Runs on this device.',
  deviceWarningReason:
    'Any program on this device could use this name, and this server cannot tell which one is asking.',
  /** Above the list of scopes. */
  permissions: 'It will be able to',
  /** Above the list of scopes of other APIs. */
  downstream: 'This server will use, on your behalf',
  /** One scope. `{words}`: what it means; `{scope}`: its name. */
  scopeInWords: '{words} ({scope})',
  /** When the user has approved the application before, and something has changed. */
  approvedBefore: 'You have allowed this application before. What is new since then is marked.',
  /** The mark of what is new. */
  newMark: 'New',
  nextStep:
    'If you approve, the next step is to sign in with Microsoft. If you deny, the application gets no access.',
  approve: 'Approve',
  deny: 'Deny',

  // Pages about errors.

  /** The user or the application has to do something else. */
  refusedTitle: 'This sign-in cannot go on',
  /** The server has a fault. */
  failedTitle: 'Something is not working',
  badRequest: 'The application sent a request that this server cannot answer.',
  badScope: 'The application asked for access that this server does not have.',
  badResource: 'The application asked for access to another server.',
  signInRefused: 'The sign-in was refused, by Microsoft or by this server.',
  tryLater: 'This server cannot answer right now. Try again in a few minutes.',
  pageExpired:
    'This page has expired, or it was opened in another browser. Start again from the application.',
  signInNotOpen:
    'This sign-in was started in another browser, is finished, or has expired. Start again from the application.',
  signInCompleted: 'This sign-in has been completed already.',
  /** Who opens a link of a tool: also when it is for somebody else. It must not say which of the three it is. */
  interactionNotOpen:
    'This link is for somebody else, has been used, or has expired. Go back to the application and try again there.',
  fromAnotherSite: 'The form was sent from another site.',
  unknownClient:
    'This application is not registered here. Remove the server from the application and add it again, so that it registers anew.',
  appsPageExpired:
    'This page has expired, or it was opened in another browser. Open your connected apps again.',
  /** Before a technical text, which is in English whatever the language of the page. */
  technicalDetail: 'In detail:',
  /** `{reference}`: a short id that the log of the server has, too. */
  reference: 'When you ask for help, give this reference: {reference}',
  uncheckedAddress: 'Nobody has checked the address of the application',
  returnToApplication: 'Return to the application',
  continueIfKnown: 'Continue only if you started this sign-in and know the address.',

  // The end of an interaction that a tool has asked for.

  interactionTitle: 'You can go back to your application',
  interactionDone:
    'Microsoft has what it asked for. Close this page, go back to your application, and let it go on.',

  // All pages.

  /** A link to the operator's support. */
  support: 'Get help',

  // The account page: which applications have access.

  appsTitle: 'Connected apps',
  appsIntroduction: 'These applications can use {server} in your name.',
  /** `{user}`: the name of the user. */
  signedInAs: 'Signed in as {user}',
  noApps: 'No application has access to {server} in your name.',
  /** Beside the app's name: the operator vouches for it. */
  verifiedByOperator: 'Known to the operator of this server',
  /** `{host}`: the host whose document names the application. */
  verifiedByHost: 'Verified: published at {host}',
  notVerified: 'Not verified: the application chose this name itself',
  /** Of an app without a host: its sign-ins stay on a device. */
  onADevice: 'An application on your device',
  firstUsed: 'First used',
  lastUsed: 'Last used',
  activeLogins: 'Active sign-ins',
  appPermissions: 'It can',
  appDownstream: 'This server uses, on your behalf',
  revoke: 'Revoke access',
  /** The name of the button for screen readers: it has to begin with the text of the button. */
  revokeOf: 'Revoke access of {client}',
  revokeAll: 'Revoke access of all apps',
  revokeAllHint: 'Every application has to ask you again.',
  signOut: 'Sign out',
  signedOutTitle: 'You are signed out',
  signedOut:
    'The connected apps keep their access. You may still be signed in at Microsoft in this browser.',
  signInAgain: 'Sign in again',
} as const
