/** Bars as an SVG, with Apache ECharts, which needs no browser for it. */
import * as echarts from 'echarts'

const rowHeight = 26
const width = 860

/**
 * @param {object} plot
 * @param {string} plot.title with the unit of the values
 * @param {string[]} plot.names one for each row, from top to bottom
 * @param {Record<string, number[]>} plot.series values by what they are; more than one are stacked
 * @returns {string} SVG
 */
export function drawBars({ title, names, series }) {
  const entries = Object.entries(series)
  const stacked = entries.length > 1
  const namesWidth = 20 + 6.5 * Math.max(...names.map((name) => name.length))
  const height = 90 + names.length * rowHeight + (stacked ? 30 : 0)
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height })
  chart.setOption({
    animation: false,
    backgroundColor: '#fff',
    title: { text: title, left: 10, textStyle: { fontSize: 15 } },
    legend: { show: stacked, bottom: 0 },
    grid: { left: namesWidth, right: 60, top: 45, bottom: stacked ? 60 : 30 },
    xAxis: { type: 'value' },
    yAxis: { type: 'category', data: names, inverse: true, axisTick: { show: false } },
    series: entries.map(([name, values]) => ({
      name,
      type: 'bar',
      stack: 'all',
      data: values.map((value, row) => ({
        value: Number(value.toPrecision(3)),
        ...(!stacked && { itemStyle: { color: colorOf(names[row]) } }),
      })),
      label: { show: !stacked, position: 'right' },
    })),
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}

/** Ours in one color, everybody else in another. */
function colorOf(name) {
  return name.startsWith('mcp-entra') ? '#0f6cbd' : '#9aa0a6'
}
