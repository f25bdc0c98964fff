import type { ExecuteOptions, PromisePool, RequestCoalescer } from 'paceline';

/** Reads through `cache`, and loads what usually comes next while `pool` has nothing else to do. */
export class PredictiveCache<V> {
  /** How often which key came next: for the 1,000 keys seen last, 8 next ones each. */
  readonly #next = new Map<string, Map<string, number>>();
  #likely: string[] = [];
  #isWarming = false;

  constructor(
    readonly cache: RequestCoalescer<V, string>,
    readonly pool: PromisePool,
    readonly load: (key: string, task: { signal: AbortSignal }) => Promise<V>,
    readonly signal: AbortSignal,
  ) {}

  /** @param previous what the same visitor asked for before. */
  async get(key: string, previous?: string): Promise<V> {
    if (previous !== undefined) this.#learn(previous, key);
    const value = await this.cache.execute(key, ({ signal }) => this.#run(key, { signal }));
    const next = [...(this.#next.get(key) ?? [])].sort(([, one], [, two]) => two - one).map(([each]) => each);
    this.#likely = [...new Set([...next.slice(0, 2), ...this.#likely])].slice(0, 10);
    // An abort leaves it on: nothing is warmed any more.
    if (!this.#isWarming) this.#warm().catch(() => {});
    return value;
  }

  #run(key: string, options: ExecuteOptions): Promise<V> {
    return this.pool.execute((task) => this.load(key, task), options);
  }

  #learn(previous: string, key: string): void {
    const counts = this.#next.get(previous) ?? new Map<string, number>();
    const [rarest, least] = [...counts].sort(([, one], [, two]) => one - two)[0] ?? [key, 0];
    // Space-Saving (Metwally et al., 2005): a newcomer takes over the place and the count of the rarest.
    const takesOver = counts.size === 8 && !counts.has(key) && counts.delete(rarest);
    counts.set(key, (takesOver ? least : (counts.get(key) ?? 0)) + 1);
    this.#next.delete(previous);
    this.#next.set(previous, counts);
    const [oldest = previous] = this.#next.keys();
    if (this.#next.size > 1_000) this.#next.delete(oldest);
  }

  /** One at a time, and never in a turn in which somebody else came. */
  async #warm(): Promise<void> {
    this.#isWarming = true;
    while (this.#likely.length > 0) {
      await this.pool.onIdle({ signal: this.signal });
      if (this.pool.running + this.pool.queued > 0) continue;
      const key = this.#likely.shift() as string;
      this.cache.prefetch(key, ({ signal }) => this.#run(key, { signal, priority: 'low' }));
    }
    this.#isWarming = false;
  }
}
