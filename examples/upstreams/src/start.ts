import type { ChildProcess } from 'node:child_process';
import type { Kind, Kinds } from './kinds.js';
import type { ProcessOptions } from './process.js';
import type { Stats } from './stats.js';
import { forkTypeScript } from './typescript.js';
import type { Weather } from './weather.js';

export type StartOptions<K extends Kind> = Kinds[K]['options'] & {
  /** Default: a free one. */
  readonly port?: number;
  /** Default: no latency, no faults. */
  readonly weather?: Weather;
};

/** Starts a server as a process of its own. It ends with this one, however that ends. @throws {Error} with its last words. */
export async function startUpstream<K extends Kind>(
  kind: K,
  { port = 0, weather = {}, ...options }: StartOptions<K> = {},
): Promise<UpstreamServer<Kinds[K]['counts']>> {
  const server = new UpstreamServer<Kinds[K]['counts']>({ kind, port, weather, options });
  await server.restart();
  return server;
}

/** A handle on a server's process. */
export class UpstreamServer<C = unknown> implements AsyncDisposable {
  /** Fulfils with the reason if the process ends without `stop` or `kill`. */
  readonly died: Promise<string>;
  #options: ProcessOptions;
  #child: ChildProcess | undefined;
  #reportDeath!: (reason: string) => void;

  constructor(options: ProcessOptions) {
    this.#options = options;
    this.died = new Promise((resolve) => {
      this.#reportDeath = resolve;
    });
  }

  /** Without a path and without a slash at the end. The same after a restart. */
  get url(): string {
    return `http://127.0.0.1:${this.#options.port}`;
  }

  /** Of the process; undefined while there is none. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async stats(): Promise<Stats<C>> {
    return (await this.#ask('GET', 'stats')) as Stats<C>;
  }

  /** A new run: counters at zero, and faults fall on the same requests again. The weather stays. */
  async reset(): Promise<void> {
    await this.#ask('POST', 'reset');
  }

  /** Replaces those fields of the weather that are given. */
  async setWeather(weather: Weather): Promise<void> {
    await this.#ask('PATCH', 'weather', weather);
    this.#options = { ...this.#options, weather: { ...this.#options.weather, ...weather } };
  }

  /** A command of this kind of server, such as the LLM's `warm`. */
  async control(command: string, body: unknown, signal?: AbortSignal): Promise<unknown> {
    return this.#ask('POST', command, body, signal);
  }

  /** Ends it without notice, as a crash does: connections are closed, then refused. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await exited;
  }

  /** Kills it if it runs, and starts it on the same port, with its last weather and counters at zero. */
  async restart(): Promise<void> {
    await this.kill();
    const child = forkTypeScript(new URL('./process.ts', import.meta.url), [JSON.stringify(this.#options)], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child = child;
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-4000);
    });
    const lastWords = () => stderr.match(/^\w*Error.*$/m)?.[0] ?? stderr.trim().split('\n').at(-1) ?? '';
    const port = await new Promise<number>((resolve, reject) => {
      const { kind } = this.#options;
      const refuse = () =>
        reject(new Error(`The server \`${kind}\` did not start: ${lastWords() || 'it was stopped'}`));
      // Its last words come with the end of its output, which is after its exit.
      child.once('close', refuse);
      child.once('error', refuse);
      child.once('message', (message) => resolve(message as number));
    });
    this.#options = { ...this.#options, port };
    child.once('close', (code, signal) => {
      if (this.#child === child) this.#reportDeath(lastWords() || `exit ${signal ?? code}`);
    });
  }

  async stop(): Promise<void> {
    await this.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #ask(method: string, command: string, body?: unknown, signal?: AbortSignal): Promise<unknown> {
    const response = await fetch(`${this.url}/_control/${command}`, {
      method,
      // A connection that is kept would be a dead one after a restart.
      headers: { connection: 'close' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
    const answer: unknown = await response.json();
    if (!response.ok) throw new Error((answer as { error: string }).error);
    return answer;
  }
}
