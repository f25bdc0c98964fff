/** `requests = inFlight + closedEarly + cut + all of byStatus`, at every moment. */
export interface RouteStats {
  readonly requests: number;
  readonly inFlight: number;
  readonly peakInFlight: number;
  /** Answers that went out whole. */
  readonly byStatus: Readonly<Record<string, number>>;
  /** The client left before the end of its answer. */
  readonly closedEarly: number;
  /** The weather cut the connection. */
  readonly cut: number;
}

/** What really reached the server since its start or the last `reset`. `C`: what the protocol counts besides. */
export interface Stats<C = unknown> extends RouteStats {
  readonly routes: Readonly<Record<string, RouteStats>>;
  /** How long each refused request stayed away that came back, ms. */
  readonly cameBackAfterMs: readonly number[];
  /** Of those: how many came before their Retry-After had passed. */
  readonly tooEarly: number;
  readonly counts: C;
}

class RouteCounters {
  requests = 0;
  inFlight = 0;
  peakInFlight = 0;
  readonly byStatus: Record<string, number> = {};
  closedEarly = 0;
  cut = 0;

  begin(): void {
    this.requests += 1;
    this.inFlight += 1;
    this.peakInFlight = Math.max(this.peakInFlight, this.inFlight);
  }

  end(outcome: number | 'closedEarly' | 'cut'): void {
    this.inFlight -= 1;
    if (typeof outcome === 'number') this.byStatus[outcome] = (this.byStatus[outcome] ?? 0) + 1;
    else this[outcome] += 1;
  }
}

/** Of one run. What is in flight at a reset ends in the counters in which it began. */
export class Counters<C> {
  readonly counts: C;
  readonly #total = new RouteCounters();
  readonly #routes = new Map<string, RouteCounters>();
  readonly #refused = new Map<string, { readonly at: number; readonly retryAfter: number }>();
  readonly #cameBackAfterMs: number[] = [];
  #tooEarly = 0;

  constructor(counts: C) {
    this.counts = counts;
  }

  /** Returns what to call with how it ended. */
  begin(route: string): (outcome: number | 'closedEarly' | 'cut') => void {
    const ofRoute = this.#routes.get(route) ?? new RouteCounters();
    this.#routes.set(route, ofRoute);
    const both = [this.#total, ofRoute];
    for (const counters of both) counters.begin();
    return (outcome) => {
      for (const counters of both) counters.end(outcome);
    };
  }

  refused(content: string, retryAfter: number): void {
    this.#refused.set(content, { at: performance.now(), retryAfter });
  }

  arrived(content: string): void {
    const refusal = this.#refused.get(content);
    if (refusal === undefined) return;
    this.#refused.delete(content);
    const away = performance.now() - refusal.at;
    this.#cameBackAfterMs.push(Math.round(away));
    if (away < refusal.retryAfter) this.#tooEarly += 1;
  }

  snapshot(): Stats<C> {
    return {
      ...this.#total,
      routes: Object.fromEntries(this.#routes),
      cameBackAfterMs: this.#cameBackAfterMs,
      tooEarly: this.#tooEarly,
      counts: this.counts,
    };
  }
}
