import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type App, Problem } from './app.js';
import { Exchange, Gone } from './exchange.js';
import { Counters } from './stats.js';
import { checkWeather, Sky, type Weather } from './weather.js';

interface Route<C> {
  readonly name: string;
  readonly method: string;
  readonly pattern: RegExp;
  readonly handle: (exchange: Exchange, counts: C) => Promise<void>;
}

/**
 * A protocol, served with weather and counters. Under `/_control`, apart from the protocol: `GET stats`, `GET weather`, `PATCH weather`,
 * `POST reset` (counters at zero, and faults fall on the same requests again) and the commands of the app.
 *
 * @throws {Error} the weather makes no sense.
 */
export function createUpstream<C extends object>(app: App<C>, weather: Weather): Server {
  const routes = Object.entries(app.routes).map(([name, handle]) => compile(name, handle));
  const names = Object.keys(app.routes);
  const sky = new Sky(checkWeather(weather, names));
  let counters = new Counters(app.newCounts());

  async function control(command: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body: unknown = chunks.length === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString());
    const run = async (): Promise<unknown> => {
      switch (command) {
        case 'GET stats':
          return counters.snapshot();
        case 'GET weather':
          return sky.weather;
        case 'PATCH weather':
          sky.weather = checkWeather({ ...sky.weather, ...(body as Weather) }, names);
          return sky.weather;
        case 'POST reset':
          counters = new Counters(app.newCounts());
          sky.reset();
          return {};
        default: {
          const own = app.controls?.[command.replace(/^POST /, '')];
          if (own === undefined) throw new Error(`No command \`${command}\``);
          return (await own(body)) ?? {};
        }
      }
    };
    const [status, answer] = await run().then(
      (value) => [200, value] as const,
      (error: unknown) => [400, { error: String(error instanceof Error ? error.message : error) }] as const,
    );
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', `http://${request.headers.host ?? 'localhost'}`);
    if (url.pathname.startsWith('/_control/'))
      return control(`${request.method} ${url.pathname.slice('/_control/'.length)}`, request, response);

    const route = routes.find(({ method, pattern }) => method === request.method && pattern.test(url.pathname));
    const params = { ...route?.pattern.exec(url.pathname)?.groups };
    const exchange = new Exchange(
      request,
      response,
      { url, route: route?.name ?? 'unknown', params },
      { sky, counters },
    );
    try {
      if (route === undefined) throw new Problem(404, 'not_found', `No route ${request.method} ${url.pathname}.`);
      await route.handle(exchange, counters.counts);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      exchange.send(error.status, app.errorBody(error), { ...waitHeaders(error), ...error.headers });
    }
  }

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      if (!response.destroyed) response.destroy();
      // Any other error is a bug, and must not look like one of the faults: it ends the process.
      if (!(error instanceof Gone) && !request.destroyed) throw error;
    });
  });
  // Longer than clients keep theirs, or a request may meet a connection that is just being closed.
  server.keepAliveTimeout = 60_000;
  if (app.onUpgrade !== undefined)
    server.on('upgrade', (request, socket, head) => app.onUpgrade?.(request, socket, head));
  return server;
}

function compile<C>(name: string, handle: Route<C>['handle']): Route<C> {
  const [method = '', path = ''] = name.split(' ');
  return { name, method, pattern: new RegExp(`^${path.replace(/\/:(\w+)/g, '/(?<$1>[^/]+)')}/?$`), handle };
}

/** Whole seconds by the standard, and the finer one that OpenAI sends besides. */
function waitHeaders({ retryAfter }: Problem): Record<string, string> {
  if (retryAfter === undefined) return {};
  return { 'retry-after': String(Math.ceil(retryAfter / 1000)), 'retry-after-ms': String(Math.round(retryAfter)) };
}
