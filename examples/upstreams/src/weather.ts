import { hash, randomFrom } from './random.js';

/**
 * 429, 500, 503; no answer at all; a connection that ends, or stays open without a further word, of a stream somewhere in its middle.
 */
const FAULTS = ['rate-limited', 'broken', 'unavailable', 'hang', 'cut', 'stall'] as const;
export type Fault = (typeof FAULTS)[number];

/** ms. A number is exact. A distribution is lognormal, as the answers of hosted services are; `p99` is 1.8 times the median by default. */
export type Latency = number | { readonly median: number; readonly p99?: number };

export interface Faults {
  /** Share of the requests that meet one, 0..1. Drawn from the seed and what is asked, not from the order of arrival. */
  readonly rate?: number;
  /** Instead of `rate`: every how manyth request of a route. Counted, so that two runs meet as many. */
  readonly every?: number;
  /** Default: rate-limited and broken. `every` takes them in turn. */
  readonly kinds?: readonly Fault[];
  /** What a 429 or 503 asks for in its Retry-After, ms; default 1000. */
  readonly retryAfter?: number;
}

export interface RouteWeather {
  /** Time to the answer, of a stream to its first part. Default 0. */
  readonly latency?: Latency;
  readonly faults?: Faults;
}

export interface Weather extends RouteWeather {
  /** Default 1. */
  readonly seed?: number;
  /** What is different for a route, by its name, such as `POST /v1/embeddings`. */
  readonly routes?: Readonly<Record<string, RouteWeather>>;
  /** Every request meets this one, until it is set to false. */
  readonly outage?: Fault | false;
}

/** What one request will meet. */
export interface Fate {
  readonly delay: number;
  readonly fault: Fault | undefined;
  readonly retryAfter: number;
  /** Where a stream is cut or stalls, as a share of it. */
  readonly breaksAt: number;
}

// A refusal costs a service nothing, so it comes back at once.
const FAULT_DELAY_MS = 30;
const P99_OF_MEDIAN = 1.8;
const Z_99 = 2.326;

/**
 * Deals out latency and faults. What a request meets depends on the seed, on what it asks, and on how often that was asked before, so
 * that a repeat may fare better: the same requests meet the same weather, in whatever order and however many at once.
 */
export class Sky {
  weather: Weather;
  readonly #asked = new Map<string, number>();

  constructor(weather: Weather) {
    this.weather = weather;
  }

  /** @param content what is asked, without what differs from call to call, such as a nonce. */
  fateOf(route: string, content: string): Fate {
    const { seed = 1, outage, routes = {}, ...general } = this.weather;
    const { latency = 0, faults = {} } = { ...general, ...routes[route] };
    const nth = this.#count(`${route}\n${hash(content)}`);
    const nthOfRoute = this.#count(route);
    const random = randomFrom(hash(`${nth} ${content}`, seed + 1));
    const fault = outage || faultOf(faults, nthOfRoute, random);
    const delay = delayOf(latency, content, seed);
    return {
      delay: fault === undefined || fault === 'cut' || fault === 'stall' ? delay : Math.min(FAULT_DELAY_MS, delay),
      fault,
      retryAfter: faults.retryAfter ?? 1000,
      breaksAt: 0.1 + 0.8 * random(),
    };
  }

  /** A new run: faults fall on the same requests again. */
  reset(): void {
    this.#asked.clear();
  }

  #count(key: string): number {
    const count = (this.#asked.get(key) ?? 0) + 1;
    this.#asked.set(key, count);
    return count;
  }
}

export function delayOf(latency: Latency, content: string, seed: number): number {
  if (typeof latency === 'number') return latency;
  const { median, p99 = median * P99_OF_MEDIAN } = latency;
  const random = randomFrom(hash(content, seed));
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const sigma = median > 0 ? Math.log(p99 / median) / Z_99 : 0;
  return median * Math.exp(sigma * Math.max(-3, Math.min(3, normal)));
}

function faultOf(faults: Faults, nth: number, random: () => number): Fault | undefined {
  const { rate = 0, every = 0, kinds = ['rate-limited', 'broken'] } = faults;
  if (every > 0) return nth % every === 0 ? kinds[(nth / every - 1) % kinds.length] : undefined;
  return random() < rate ? kinds[Math.floor(random() * kinds.length)] : undefined;
}

/** @throws {Error} it names a route or a fault that there is not. */
export function checkWeather(weather: Weather, routeNames: readonly string[]): Weather {
  for (const name of Object.keys(weather.routes ?? {}))
    if (!routeNames.includes(name)) throw new Error(`No route \`${name}\`; there are: ${routeNames.join(', ')}`);
  const all = [weather, ...Object.values(weather.routes ?? {})];
  for (const fault of [weather.outage || [], ...all.map(({ faults }) => faults?.kinds ?? [])].flat())
    if (!FAULTS.includes(fault)) throw new Error(`No fault \`${fault}\`; there are: ${FAULTS.join(', ')}`);
  return weather;
}
