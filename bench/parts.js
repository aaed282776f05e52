/** What a run consists of: each part measures something, and returns tables, plots and targets. */
export const parts = {
  gates: () => import('./gates/part.js'),
  logins: () => import('./proxies/part.js'),
  'on-behalf-of': () => import('./on-behalf-of/part.js'),
  start: () => import('./start/part.js'),
  growth: () => import('./growth/part.js'),
}

/** Parts that a quick look leaves out, unless it is told to run them: filling their stores takes too long. */
export const long = new Set(['growth'])
