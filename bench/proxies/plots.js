/** Logins as plots. */
import { quantile } from '../statistics.js'
import { steps } from './login.js'

export function plots(samples) {
  const names = [...samples.keys()]
  const medians = (read) => names.map((name) => quantile(samples.get(name).map(read)))
  const bySteps = Object.keys(steps).map((step) => [step, medians((sample) => sample.steps[step])])
  return [
    {
      file: 'logins-per-second',
      title: 'Logins per second, one core',
      names,
      series: { 'logins/s': medians(({ perSecond }) => Math.round(perSecond)) },
    },
    {
      file: 'logins-steps',
      title: 'CPU of a login by step, µs',
      names,
      series: Object.fromEntries(bySteps),
    },
  ]
}
