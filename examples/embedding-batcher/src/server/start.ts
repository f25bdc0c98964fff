import type { ChildProcess } from 'node:child_process';
import { UserError } from '../errors.js';
import { forkTypeScript } from '../typescript.js';
import type { ServerStats } from './stats.js';

export interface ServerOptions {
  readonly embedder?: 'model' | 'trigrams';
  readonly apiKey?: string;
  readonly seed?: number;
  readonly delay?: number;
  readonly failEvery?: number;
  readonly retryAfter?: number;
  readonly refuse?: string;
}

/** A handle on the server's process. It ends with this one, however that ends. */
export class LocalServer {
  readonly apiKey: string;
  readonly baseURL: string;
  readonly model = 'local';
  /** Fulfils with the reason if the process ends without `stop`. */
  readonly died: Promise<string>;
  readonly #child: ChildProcess;
  #stopping = false;

  private constructor(child: ChildProcess, port: number, apiKey: string, lastWords: () => string) {
    this.#child = child;
    this.apiKey = apiKey;
    this.baseURL = `http://127.0.0.1:${port}/v1`;
    this.died = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        if (!this.#stopping) resolve(lastWords() || `exit ${signal ?? code}`);
      });
    });
  }

  static start(options: ServerOptions = {}): Promise<LocalServer> {
    const apiKey = options.apiKey ?? 'local';
    const child = forkTypeScript(new URL('./main.ts', import.meta.url), argumentsOf({ ...options, apiKey }), {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-4000);
    });
    const lastWords = () => stderr.match(/^\w*Error.*$/m)?.[0] ?? stderr.trim().split('\n').at(-1) ?? '';
    return new Promise((resolve, reject) => {
      const refuse = () => reject(new UserError(`The embedding server did not start: ${lastWords()}`));
      child.once('exit', refuse);
      child.once('error', refuse);
      child.once('message', ({ port }: { port: number }) => {
        child.off('exit', refuse);
        resolve(new LocalServer(child, port, apiKey, lastWords));
      });
    });
  }

  async stats(): Promise<ServerStats> {
    return (await this.#ask('GET', '/stats')) as ServerStats;
  }

  /** Starts a new run: counters at zero, and the faults fall on the same calls again. */
  async reset(): Promise<void> {
    await this.#ask('POST', '/reset');
  }

  /** Has vectors computed ahead, as slowly as this machine does it. */
  async warm(texts: readonly string[], signal?: AbortSignal): Promise<void> {
    await this.#ask('POST', '/warm', { input: texts }, signal);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await exited;
  }

  async #ask(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<unknown> {
    const response = await fetch(new URL(path, this.baseURL), {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
    return response.json();
  }
}

function argumentsOf(options: ServerOptions): string[] {
  return Object.entries(options).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}=${value}`],
  );
}
