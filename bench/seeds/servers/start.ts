import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Kind,
  type Kinds,
  type StartOptions,
  type Stats,
  startUpstream,
  type UpstreamServer,
  type Weather,
} from '../../../examples/upstreams/src/index.js';
import { forkTypeScript } from '../../../examples/upstreams/src/typescript.js';

const DEATH_MS = 300;

/** Ends the run: without its servers a measurement is none. */
export class ServerDied extends Error {}

/** What every operation needs of a server. */
export interface Server {
  readonly url: string;
  stats(): Promise<Stats>;
  reset(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts servers, says when one dies, and ends them all. */
export class Servers {
  /** Rejects when one dies that was not stopped. */
  readonly #failure: Promise<never>;
  #fail!: (error: Error) => void;
  readonly #running = new Set<Server>();

  constructor() {
    this.#failure = new Promise((_, reject) => {
      this.#fail = reject;
    });
    // Heard only while something is measured.
    this.#failure.catch(() => {});
  }

  /** @throws {ServerDied} what `work` said of it is of no interest then. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await Promise.race([work(), this.#failure]);
    } catch (error) {
      // A call that fails is heard of before the end of the process that was to answer it.
      await Promise.race([this.#failure, sleep(DEATH_MS)]);
      throw error;
    }
  }

  async upstream<K extends Kind>(kind: K, options: StartOptions<K>): Promise<UpstreamServer<Kinds[K]['counts']>> {
    const server = await startUpstream(kind, options);
    this.#running.add(server);
    void server.died.then((reason) => this.#died(kind, reason));
    return server;
  }

  async site(weather: Weather): Promise<Server> {
    const child = forkTypeScript(new URL('./process.ts', import.meta.url), [JSON.stringify(weather)], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let lastWords = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      lastWords = text.match(/^\w*Error.*$/m)?.[0] ?? lastWords;
    });
    let isStopped = false;
    const closed = once(child, 'close').then(() => {
      if (!isStopped) this.#died('site', lastWords || `exit ${child.signalCode ?? child.exitCode}`);
    });
    const [port] = (await Promise.race([once(child, 'message'), this.#failure])) as [number];
    const url = `http://127.0.0.1:${port}`;
    const control = async (method: string, command: string) => {
      const response = await fetch(`${url}/_control/${command}`, { method, headers: { connection: 'close' } });
      return response.json();
    };
    const server: Server = {
      url,
      stats: async () => (await control('GET', 'stats')) as Stats,
      reset: async () => void (await control('POST', 'reset')),
      async stop() {
        isStopped = true;
        child.kill();
        await closed;
      },
    };
    this.#running.add(server);
    return server;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#running].map((server) => server.stop()));
    this.#running.clear();
  }

  #died(kind: string, reason: string): void {
    this.#fail(new ServerDied(`The server \`${kind}\` died: ${reason}`));
  }
}
