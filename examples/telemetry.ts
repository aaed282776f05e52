/**
 * OpenTelemetry: what happens at the door, as traces and metrics. The events come from `diagnostics_channel`, with reason
 * codes and durations, and never with a token; nothing of mcp-entra has to be patched or configured. Here they are
 * printed; put OTLP exporters in the place of the two that print. Requests to Entra appear as spans of their own with
 * `@opentelemetry/instrumentation-undici`.
 * `npm run example:one build/examples/telemetry.js`
 */
import { subscribe } from 'node:diagnostics_channel'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { type Attributes, metrics, SpanStatusCode, trace } from '@opentelemetry/api'
import {
  ConsoleMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ConsoleSpanExporter,
} from '@opentelemetry/sdk-trace-base'
import express from 'express'
import {
  clientSecret,
  entraAuth,
  entraScopes,
  type LoginEvent,
  oauthRoutes,
  type RefusalEvent,
  requireBearer,
  type TokenEvent,
  userOf,
} from 'mcp-entra'

const { PORT = '3000', BASE_URL = `http://localhost:${PORT}` } = process.env
const { AZURE_TENANT_ID = '', AZURE_CLIENT_ID = '', AZURE_CLIENT_SECRET = '' } = process.env
const { AZURE_AUTHORITY_HOST = 'https://login.microsoftonline.com' } = process.env
const { MCP_ENTRA_KEYS = '' } = process.env // openssl rand -base64 32

const meters = new MeterProvider({
  readers: [new PeriodicExportingMetricReader({ exporter: new ConsoleMetricExporter() })],
})
const traces = new BasicTracerProvider({
  spanProcessors: [new BatchSpanProcessor(new ConsoleSpanExporter())],
})
metrics.setGlobalMeterProvider(meters)
trace.setGlobalTracerProvider(traces)

const meter = metrics.getMeter('mcp-entra')
const tracer = trace.getTracer('mcp-entra')
const counter = meter.createCounter('mcp_entra.events', { description: 'What has happened' })
const duration = meter.createHistogram('mcp_entra.duration', {
  description: 'How long it took',
  unit: 'ms',
})

/** The fields of all events. Each event has some of them. */
type Event = Partial<LoginEvent & TokenEvent & RefusalEvent>

/** Makes an event a point of a counter, a span, and where it took time, a point of a histogram. */
function record(name: string, event: Event): void {
  const { endpoint, outcome, reason, grantType, milliseconds = 0 } = event
  const labels = attributes({ event: name, endpoint, outcome, reason, grantType })
  counter.add(1, labels)
  if (event.milliseconds !== undefined) duration.record(milliseconds, labels)
  // These have too many values for the labels of a metric. Of users and clients nothing is exported here.
  const { resource, tool, correlationId, reference } = event
  const endTime = Date.now()
  const span = tracer.startSpan(`mcp-entra ${name}`, {
    startTime: endTime - milliseconds,
    attributes: {
      ...labels,
      ...attributes({ resource, tool: tool?.toString(), correlationId, reference }),
    },
  })
  if (name === 'failure') span.setStatus({ code: SpanStatusCode.ERROR, message: reason ?? '' })
  span.end(endTime)
}

/** The fields that an event has. */
function attributes(fields: Readonly<Record<string, string | undefined>>): Attributes {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

for (const name of ['login', 'token', 'refusal', 'exchange', 'revocation', 'failure']) {
  subscribe(`mcp-entra:${name}`, (event) => record(name, event as Event))
}

// What has not been exported yet would be lost.
process.once('SIGTERM', async () => {
  await Promise.all([meters.shutdown(), traces.shutdown()])
  process.exit(0)
})

const auth = entraAuth({
  baseUrl: BASE_URL,
  tenantId: AZURE_TENANT_ID,
  clientId: AZURE_CLIENT_ID,
  credential: clientSecret(AZURE_CLIENT_SECRET),
  authorityHost: AZURE_AUTHORITY_HOST,
  scopes: entraScopes({ clientId: AZURE_CLIENT_ID, required: ['notes.read'] }),
  keys: MCP_ENTRA_KEYS.split(','),
})

/** A fresh server for each request: it keeps no sessions. */
function mcpServer(): McpServer {
  const server = new McpServer({ name: 'telemetry', version: '1.0.0' })
  server.registerTool('whoami', { description: 'Who you are' }, ({ authInfo }) => ({
    content: [{ type: 'text', text: JSON.stringify(userOf(authInfo)) }],
  }))
  return server
}

const app = express()
app.use(oauthRoutes(auth))
app.all('/mcp', requireBearer(auth), async (req, res) => {
  const server = mcpServer()
  res.on('close', () => server.close())
  const transport = new StreamableHTTPServerTransport({})
  await server.connect(transport)
  await transport.handleRequest(req, res, req.body)
})
app.listen(Number(PORT), (error) => {
  if (error) throw error
  console.log(`MCP server: ${BASE_URL}/mcp`)
})
