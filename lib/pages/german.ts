/** What our pages say, in German. */
import type { PageTexts } from './texts.js'

export const german: PageTexts = {
  consentTitle: 'Zugriff auf {server} erlauben?',
  consentQuestion: 'Darf {client} {server} benutzen?',
  namelessClient: 'Eine Anwendung ohne Namen',
  nameFromOperator: 'Der Betreiber dieses Servers kennt diese Anwendung.',
  nameFromDocument:
    'Diesen Namen hat die Anwendung selbst gewählt; dieser Server hat geprüft, dass er zu {host} gehört.',
  nameUnchecked: 'Diesen Namen hat die Anwendung selbst gewählt; niemand hat ihn geprüft.',
  continueIfYours: 'Fahren Sie nur fort, wenn Sie diese Anmeldung selbst begonnen haben.',
  publishedAt: 'Die Anwendung ist veröffentlicht unter',
  destination: 'Wohin Ihre Anmeldung geht',
  hostOnThisDevice: '{host} (dieses Gerät)',
  schemeOnThisDevice: 'die Anwendung auf diesem Gerät, die „{scheme}“-Links öffnet',
  deviceWarning: 'Läuft auf diesem Gerät.',
  deviceWarningReason:
    'Jedes Programm auf diesem Gerät könnte diesen Namen benutzen, und dieser Server kann nicht erkennen, welches gerade fragt.',
  permissions: 'Die Anwendung wird dürfen',
  downstream: 'Dieser Server wird in Ihrem Namen benutzen',
  scopeInWords: '{words} ({scope})',
  approvedBefore:
    'Sie haben dieser Anwendung schon einmal Zugriff gegeben. Was seitdem neu ist, ist markiert.',
  newMark: 'Neu',
  nextStep:
    'Wenn Sie zustimmen, melden Sie sich als Nächstes bei Microsoft an. Wenn Sie ablehnen, bekommt die Anwendung keinen Zugriff.',
  approve: 'Zustimmen',
  deny: 'Ablehnen',

  refusedTitle: 'Diese Anmeldung kann nicht fortgesetzt werden',
  failedTitle: 'Etwas funktioniert nicht',
  badRequest: 'Die Anwendung hat eine Anfrage geschickt, die dieser Server nicht beantworten kann.',
  badScope: 'Die Anwendung hat um einen Zugriff gebeten, den es auf diesem Server nicht gibt.',
  badResource: 'Die Anwendung hat um Zugriff auf einen anderen Server gebeten.',
  signInRefused: 'Die Anmeldung wurde abgelehnt, von Microsoft oder von diesem Server.',
  tryLater:
    'Dieser Server kann gerade nicht antworten. Versuchen Sie es in einigen Minuten noch einmal.',
  pageExpired:
    'Diese Seite ist abgelaufen oder wurde in einem anderen Browser geöffnet. Beginnen Sie in der Anwendung noch einmal.',
  signInNotOpen:
    'Diese Anmeldung wurde in einem anderen Browser begonnen, ist beendet oder abgelaufen. Beginnen Sie in der Anwendung noch einmal.',
  signInCompleted: 'Diese Anmeldung ist schon abgeschlossen.',
  interactionNotOpen:
    'Dieser Link ist für jemand anderen, wurde schon benutzt oder ist abgelaufen. Gehen Sie zurück zur Anwendung und versuchen Sie es dort noch einmal.',
  fromAnotherSite: 'Das Formular wurde von einer anderen Website geschickt.',
  unknownClient:
    'Diese Anwendung ist hier nicht registriert. Entfernen Sie den Server aus der Anwendung und fügen Sie ihn wieder hinzu, damit sie sich neu registriert.',
  appsPageExpired:
    'Diese Seite ist abgelaufen oder wurde in einem anderen Browser geöffnet. Öffnen Sie Ihre verbundenen Anwendungen noch einmal.',
  technicalDetail: 'Im Einzelnen (englisch):',
  reference: 'Wenn Sie um Hilfe bitten, nennen Sie diese Referenz: {reference}',
  uncheckedAddress: 'Niemand hat die Adresse der Anwendung geprüft',
  returnToApplication: 'Zurück zur Anwendung',
  continueIfKnown:
    'Fahren Sie nur fort, wenn Sie diese Anmeldung selbst begonnen haben und die Adresse kennen.',

  interactionTitle: 'Sie können zu Ihrer Anwendung zurückgehen',
  interactionDone:
    'Microsoft hat, was es verlangt hat. Schließen Sie diese Seite, gehen Sie zurück zu Ihrer Anwendung und lassen Sie sie weitermachen.',

  support: 'Hilfe',

  appsTitle: 'Verbundene Anwendungen',
  appsIntroduction: 'Diese Anwendungen können {server} in Ihrem Namen benutzen.',
  signedInAs: 'Angemeldet als {user}',
  noApps: 'Keine Anwendung hat in Ihrem Namen Zugriff auf {server}.',
  verifiedByOperator: 'Dem Betreiber dieses Servers bekannt',
  verifiedByHost: 'Geprüft: veröffentlicht unter {host}',
  notVerified: 'Nicht geprüft: diesen Namen hat die Anwendung selbst gewählt',
  onADevice: 'Eine Anwendung auf Ihrem Gerät',
  firstUsed: 'Zuerst benutzt',
  lastUsed: 'Zuletzt benutzt',
  activeLogins: 'Aktive Anmeldungen',
  appPermissions: 'Die Anwendung darf',
  appDownstream: 'Dieser Server benutzt in Ihrem Namen',
  revoke: 'Zugriff beenden',
  revokeOf: 'Zugriff beenden: {client}',
  revokeAll: 'Zugriff aller Anwendungen beenden',
  revokeAllHint: 'Jede Anwendung muss Sie neu fragen.',
  signOut: 'Abmelden',
  signedOutTitle: 'Sie sind abgemeldet',
  signedOut:
    'Die verbundenen Anwendungen behalten ihren Zugriff. Bei Microsoft sind Sie in diesem Browser vielleicht noch angemeldet.',
  signInAgain: 'Wieder anmelden',
}
