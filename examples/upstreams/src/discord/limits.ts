import { Problem } from '../app.js';
import type { Exchange } from '../exchange.js';
import { hash } from '../random.js';

/** So many requests from the first one on, then none for the rest of `interval`, ms. */
interface RouteLimit {
  readonly limit: number;
  readonly interval: number;
}

/** By the name of a route, such as `POST /api/:version/channels/:channel/messages`. `global` is over all routes of one bot. */
export type DiscordLimits = Readonly<Record<string, RouteLimit>>;

class Window {
  readonly rule: RouteLimit;
  #used = 0;
  #endsAt = 0;

  constructor(rule: RouteLimit) {
    this.rule = rule;
  }

  /** ms until it begins anew. */
  get resetAfter(): number {
    return Math.max(0, this.#endsAt - performance.now());
  }

  get remaining(): number {
    return this.resetAfter === 0 ? this.rule.limit : this.rule.limit - this.#used;
  }

  take(): void {
    if (this.resetAfter === 0) {
      this.#used = 0;
      this.#endsAt = performance.now() + this.rule.interval;
    }
    this.#used += 1;
  }
}

/** One bucket for a route and the channel (or webhook) that it is about, and a global one. */
export class DiscordLimiter {
  readonly #rules: DiscordLimits;
  readonly #scale: number;
  readonly #windows = new Map<string, Window>();

  constructor(rules: DiscordLimits, timeScale: number) {
    this.#scale = timeScale;
    this.#rules = Object.fromEntries(
      Object.entries(rules).map(([name, { limit, interval }]) => [name, { limit, interval: interval / timeScale }]),
    );
  }

  /** @throws {Problem} 429. */
  take(exchange: Exchange, route: string, major: string, content: string, isGlobal: boolean): void {
    const global = isGlobal ? this.#window('global', '') : undefined;
    if (global !== undefined && global.remaining <= 0)
      throw this.#refusal(exchange, content, global.resetAfter, 'global');
    global?.take();

    const window = this.#window(route, major);
    if (window === undefined) return;
    const isRefused = window.remaining <= 0;
    if (!isRefused) window.take();
    const { resetAfter } = window;
    exchange.setHeader('x-ratelimit-limit', String(window.rule.limit));
    exchange.setHeader('x-ratelimit-remaining', String(Math.max(0, window.remaining)));
    exchange.setHeader('x-ratelimit-reset', ((Date.now() + resetAfter) / 1000).toFixed(3));
    exchange.setHeader('x-ratelimit-reset-after', (resetAfter / 1000).toFixed(3));
    exchange.setHeader('x-ratelimit-bucket', hash(route).toString(16));
    if (isRefused) throw this.#refusal(exchange, content, resetAfter, 'user');
  }

  /** Whole seconds in the header, as Discord sends them; where time is scaled, scaled ones. */
  #refusal(exchange: Exchange, content: string, retryAfter: number, scope: 'user' | 'global'): Problem {
    exchange.refused(content, retryAfter);
    const seconds = Math.ceil((retryAfter / 1000) * this.#scale) / this.#scale;
    return new Problem(429, scope, 'You are being rate limited.', {
      retryAfter,
      headers: {
        'retry-after': String(seconds),
        'x-ratelimit-scope': scope,
        ...(scope === 'global' && { 'x-ratelimit-global': 'true' }),
      },
    });
  }

  #window(route: string, major: string): Window | undefined {
    const rule = this.#rules[route];
    if (rule === undefined) return undefined;
    const key = `${route} ${major}`;
    const window = this.#windows.get(key) ?? new Window(rule);
    this.#windows.set(key, window);
    return window;
  }
}
