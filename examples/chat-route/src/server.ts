import { readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import type { CloseReport } from 'paceline';
import { createChatRoute } from './chat.js';
import { messageOf, UserError } from './errors.js';
import type { Services } from './services.js';

const LOOK_FOR_IDLE_MS = 50;

export interface ServerOptions {
  readonly port: number;
  readonly host: string;
}

export interface RunningServer {
  readonly url: string;
  /** Answers under way may finish for `grace` ms, then what they left to do, then nothing is open any more. */
  shutDown(grace: number): Promise<CloseReport>;
}

/** @throws {UserError} it cannot listen. */
export async function startServer(services: Services, { port, host }: ServerOptions): Promise<RunningServer> {
  const page = readFileSync(new URL('./page.html', import.meta.url), 'utf8');
  const chat = createChatRoute(services);
  let isStopping = false;

  const app = new Hono();
  app.use(async (c, next) => {
    await next();
    // Else the connection stays open for the client's next request.
    if (isStopping) c.header('connection', 'close');
  });
  app.get('/', (c) => c.html(page));
  app.all('/api/chat', (c) => chat(c.req.raw));
  app.get('/health', (c) => c.json({ ok: !isStopping }, isStopping ? 503 : 200));
  app.get('/metrics', (c) => c.json(services.metrics.snapshot()));
  app.notFound((c) => c.json({ error: `No ${c.req.method} ${c.req.path} here.` }, 404));
  app.onError((error, c) => {
    services.log(`server: ${error.stack}`);
    return c.json({ error: 'Something went wrong on our side.' }, 500);
  });

  const server = await listen(app, { port, host });
  const address = server.address() as AddressInfo;

  async function shutDown(grace: number): Promise<CloseReport> {
    isStopping = true;
    // 1. No new requests. Those under way get their answers to the end, and hand over the last work.
    const cut = setTimeout(() => server.closeAllConnections(), grace);
    // An answer that is a stream has sent its headers long ago, without `connection: close`. Its connection is idle after it.
    const look = setInterval(() => server.closeIdleConnections(), LOOK_FOR_IDLE_MS);
    await new Promise((resolve) => server.close(resolve));
    clearTimeout(cut);
    clearInterval(look);
    // 2. From the outside in: background work, upstreams, database.
    return services.close({ grace });
  }

  return { url: `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`, shutDown };
}

function listen(app: Hono, { port, host }: ServerOptions): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, port, hostname: host }, () => resolve(server)) as Server;
    server.once('error', (error) => {
      const inUse = 'code' in error && error.code === 'EADDRINUSE';
      const why = inUse ? `port ${port} is in use. Take another with --port` : messageOf(error);
      reject(new UserError(`Cannot listen at ${host}: ${why}.`, { cause: error }));
    });
  });
}
