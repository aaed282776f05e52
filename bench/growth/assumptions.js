/** What the simulated day assumes. Everything else is counted or measured: see `costs.json`. */
export const assumptions = {
  users: 10_000_000,
  replicas: 100,
  /** Users that are simulated; the figures are scaled up from them. */
  sample: 100_000,
  /** Share of the users who come on this day, and how often each of them does. */
  active: 0.6,
  sessions: [1, 5],
  /** Logins in use for each user: most have one client, some two or three. */
  loginsPerUser: 1.5,
  /** Days after which a login that nobody uses is gone from the store: `lifetimes.grant`. */
  unusedDays: 90,
  /** Sessions begin as an office day in one time zone goes, hour by hour. */
  hours: [1, 1, 1, 1, 1, 2, 6, 20, 60, 95, 100, 85, 55, 75, 95, 90, 75, 50, 25, 14, 10, 7, 4, 2],
  /** A session has turns of a model, with pauses of some seconds between them; a turn calls tools. */
  turns: [2, 20],
  pause: [5, 120],
  calls: [1, 6],
  /** Seconds between two calls of a turn. */
  gap: [0.3, 3],
  /** Share of the calls that want a token for a downstream API. */
  onBehalfOf: 0.3,
  /** Share of the sessions that begin with a login, because there is none or it has ended. */
  newLogins: 0.005,
  /** Share of the sessions in which a client steps up, which is another login. */
  stepUps: 0.002,
  /** Seconds for which an access token lives. */
  accessToken: 3600,
  /** What one Redis primary can do: commands a second, bytes a second of network, bytes of memory. */
  redis: { commands: 100_000, network: 10e9 / 8, memory: 50e9 },
  /** Cores of a replica that may be busy with us at the peak. */
  coresPerReplica: 1,
}
