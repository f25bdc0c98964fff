import { Problem } from '../app.js';
import type { Exchange } from '../exchange.js';

/** What the service allows. Tokens are those of the prompts. */
export interface GeminiLimits {
  readonly requestsPerMinute?: number;
  readonly tokensPerMinute?: number;
  /** How long such a minute takes, ms. Default 60_000. */
  readonly minute?: number;
}

const QUOTAS = {
  requests: { metric: 'generate_requests', id: 'GenerateRequestsPerMinutePerProjectPerModel' },
  tokens: { metric: 'generate_content_input_token_count', id: 'GenerateContentInputTokensPerModelPerMinute' },
};
export type QuotaName = keyof typeof QUOTAS;

/** 429, with which quota is used up. */
export class QuotaProblem extends Problem {
  readonly violation: object;

  constructor(name: QuotaName, limit: number, retryAfter: number, model: string) {
    const { metric, id } = QUOTAS[name];
    const quotaMetric = `generativelanguage.googleapis.com/${metric}`;
    const message = `You exceeded your current quota. Quota exceeded for metric: ${quotaMetric}, limit: ${limit}, model: ${model}\nPlease retry in ${retryAfter / 1000}s.`;
    super(429, 'RESOURCE_EXHAUSTED', message, { retryAfter });
    this.violation = {
      quotaMetric,
      quotaId: id,
      quotaDimensions: { location: 'global', model },
      quotaValue: String(limit),
    };
  }
}

/** The last minute, request by request. */
export class Quota {
  readonly #limits: { readonly requests: number; readonly tokens: number };
  readonly #minute: number;
  #spent: { readonly at: number; readonly requests: 1; readonly tokens: number }[] = [];

  constructor({ requestsPerMinute, tokensPerMinute, minute = 60_000 }: GeminiLimits = {}) {
    const { POSITIVE_INFINITY } = Number;
    this.#limits = { requests: requestsPerMinute ?? POSITIVE_INFINITY, tokens: tokensPerMinute ?? POSITIVE_INFINITY };
    this.#minute = minute;
  }

  /** @throws {QuotaProblem} */
  take(exchange: Exchange, model: string, content: string, tokens: number): void {
    const now = performance.now();
    this.#spent = this.#spent.filter(({ at }) => at > now - this.#minute);
    const costs = { requests: 1, tokens } as const;
    for (const name of ['requests', 'tokens'] as const) {
      const wait = this.#waitFor(name, costs[name], now);
      if (wait === 0) continue;
      exchange.refused(content, wait);
      throw new QuotaProblem(name, this.#limits[name], wait, model);
    }
    this.#spent.push({ at: now, ...costs });
  }

  /** ms until that much is free. What is larger than the limit never is: a minute then. */
  #waitFor(name: QuotaName, cost: number, now: number): number {
    const limit = this.#limits[name];
    let used = this.#spent.reduce((sum, entry) => sum + entry[name], 0);
    if (used + cost <= limit) return 0;
    for (const entry of this.#spent) {
      used -= entry[name];
      if (used + cost <= limit) return Math.ceil(entry.at + this.#minute - now);
    }
    return this.#minute;
  }
}
