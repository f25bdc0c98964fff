import { NEVER } from '../core/clock.js';
import type { RefusedError } from '../core/errors.js';
import type { AcquireRequest, LocalGate } from '../core/gate.js';
import * as check from '../core/options.js';
import type { Permit } from '../core/permit.js';
import type { Milliseconds } from '../core/types.js';
import { DurationHistogram, summarize } from '../metrics/histogram.js';
import { HookSet, reportError } from '../metrics/hooks.js';
import { Sampler } from '../metrics/sampler.js';
import { Alarm } from './alarm.js';
import { RateLimitedError } from './rate-limited-error.js';
import {
  RATE_LIMITER_HOOKS,
  type RateLimiterHooks,
  type RateLimiterMetrics,
  type RateLimiterOptions,
} from './rate-limiter-types.js';
import { RateLine, RateWaiter } from './rate-line.js';
import { GRANTED, type PlaceHolder, permitFor, RatePlace } from './rate-place.js';
import { RateWindow } from './rate-window.js';

export type { RateLimit, RateLimiterHooks, RateLimiterMetrics, RateLimiterOptions } from './rate-limiter-types.js';

/**
 * A strict sliding window on a monotonic clock: no window of `interval` has more than `limit`. First come, first served: a call of
 * a large cost is not passed by smaller ones behind it, so none starves.
 *
 * A permit is a place in the window. It is kept, however long that takes, until `started()` says that the work begins; from then it
 * is freed by time alone, and `release` is not needed. **Released without `started()`, it was not used: its place is free at once.**
 * So whoever acquires by hand must call `started()`, in a block with `using` too; a pool does so for its tasks.
 *
 * Each call is O(1) amortised in those who wait, who share one timer; O(log starts in the window) to find out how long. A limiter
 * that nobody waits for has no timer.
 *
 * @example
 * const perMinute = new RateLimiter({ limit: 60, interval: 60_000 });
 * (await perMinute.acquire({ signal })).started();
 * await fetch(url, { signal });
 */
export class RateLimiter implements LocalGate {
  readonly name: string;
  /** @internal */
  readonly countsCost: boolean;
  readonly #maxWait: Milliseconds;
  readonly #window: RateWindow;
  readonly #line = new RateLine();
  readonly #alarm = new Alarm(() => this.#serve(this.#alarm.time));
  readonly #hooks: HookSet<RateLimiterHooks>;
  readonly #listeners = new Set<{ readonly wake: () => void }>();
  readonly #sampler = new Sampler();
  #histogram: DurationHistogram | undefined;
  #admitted = 0;
  #refused = 0;
  #pausedUntil = 0;

  /** How often `tryAcquire` had no permit to give, and whether it could not say until when since the listeners were told last. */
  #denials = 0;
  #saidNever = false;

  /** @throws {TypeError | RangeError} a bad option. */
  constructor(options: RateLimiterOptions) {
    const given = check.object('options', options, 'an object');
    const { limit, interval } = given;
    if (typeof interval !== 'number') throw check.wrongType('interval', 'a number > 0', interval);
    if (!(interval > 0 && interval < NEVER)) throw check.outOfRange('interval', 'a number > 0', interval);
    this.#window = new RateWindow(check.positiveInteger('limit', limit), interval);
    this.countsCost = check.oneOf('counts', given.counts, ['calls', 'cost'], 'calls') === 'cost';
    this.name = check.text('name', given.name, 'rate-limiter');
    this.#maxWait = check.duration('maxWait', given.maxWait, NEVER);
    this.#hooks = new HookSet(this.name, RATE_LIMITER_HOOKS, given.hooks);
  }

  /**
   * Waits for its turn. The signal ends the wait, not what follows.
   *
   * @throws {RateLimitedError} the wait would exceed `maxWait`: at once if that is sure, else when `maxWait` is over.
   * @throws {TypeError} no `cost` where cost is counted.
   * @throws {RangeError} a cost above `limit`, or below 0.
   */
  acquire(request?: AcquireRequest): Promise<Permit> {
    try {
      const units = this.checkCost(request);
      const signal = check.abortSignal('signal', request?.signal);
      if (signal?.aborted === true) return Promise.reject(signal.reason);
      const time = this.#alarm.time;
      if (this.#turnAt(units, time) <= time) return Promise.resolve(this.#admit(units, time, time));
      const refusal = this.#refuse(units, time);
      return refusal === undefined ? this.#wait(units, signal, time) : Promise.reject(refusal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * A permit; or a `RateLimitedError` where the wait would exceed `maxWait`; or ms until it is worth asking again, Infinity where
   * `onChange` will tell. Never waits, never passes by those who wait in `acquire`.
   *
   * @throws {TypeError | RangeError} as `acquire`.
   */
  tryAcquire(request?: AcquireRequest): Permit | RefusedError | Milliseconds {
    const place = this.tryPlace(request);
    return place instanceof RatePlace ? permitFor(place) : place;
  }

  /**
   * The same, without a permit around the place: a pool has one of its own.
   *
   * @internal
   */
  tryPlace(request?: AcquireRequest): RatePlace | RefusedError | Milliseconds {
    const units = this.checkCost(request);
    // Without a look at the clock: it costs as much as all the rest.
    if (this.#pausedUntil === 0 && this.#line.length === 0 && this.#window.fits(units)) {
      return this.#place(units, this.#denials);
    }
    const time = this.#alarm.time;
    if (this.#pausedUntil <= time) this.#pausedUntil = 0;
    const turnAt = this.#turnAt(units, time);
    // Who asks two gates and gives this place back, as the other has none, must not be woken by that to ask again.
    if (turnAt <= time) return this.#place(units, this.#denials);
    this.#denials++;
    const refusal = this.#refuse(units, time);
    if (refusal !== undefined) return refusal;
    this.#saidNever ||= turnAt === NEVER;
    return turnAt - time;
  }

  /**
   * `wake` is called when a new try may succeed before the time that `tryAcquire` told: a place was given back, the last who waited
   * left. Returns the function that ends it.
   */
  onChange(wake: () => void): () => void {
    const listener = { wake: check.callable('wake', wake) };
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /**
   * Takes units after the fact, beyond the limit if need be, e.g. the tokens really used above the estimate. Never waits. A number
   * below 0 (the estimate was too high) gives nothing back: what was asked for may have been counted upstream.
   *
   * @throws {TypeError | RangeError} not a finite number.
   */
  charge(cost: number): void {
    if (typeof cost !== 'number') throw check.wrongType('cost', 'a finite number', cost);
    if (!Number.isFinite(cost)) throw check.outOfRange('cost', 'a finite number', cost);
    this.#window.charge(Math.max(cost, 0), this.#alarm.time);
  }

  /**
   * No turn for the next `duration` ms, e.g. as a server asked for by Retry-After. Never shortens a longer pause. Who has a permit
   * may still start.
   *
   * @throws {TypeError | RangeError} not a finite number >= 0.
   */
  pauseFor(duration: Milliseconds): void {
    if (duration === undefined) throw check.wrongType('duration', 'a number >= 0', duration);
    const time = this.#alarm.time;
    const until = time + check.finiteDuration('duration', duration, 0);
    if (until <= Math.max(this.#pausedUntil, time)) return;
    this.#pausedUntil = until;
    const { onPause } = this.#hooks.listeners;
    if (onPause !== undefined) this.#hooks.tell(onPause, { name: this.name, durationMs: duration });
  }

  /** Adds observers. Returns the function that ends it. */
  subscribe(hooks: RateLimiterHooks): () => void {
    return this.#hooks.subscribe(hooks);
  }

  getMetrics(): RateLimiterMetrics {
    const time = this.#alarm.time;
    return {
      kind: 'rate-limiter',
      name: this.name,
      limit: this.#window.limit,
      intervalMs: this.#window.interval,
      admitted: this.#admitted,
      waiting: this.#line.length,
      refused: this.#refused,
      pausedMs: Math.max(this.#pausedUntil - time, 0),
      waitMs: summarize(this.#histogram, time),
    };
  }

  /**
   * Would a new one be the same, its counters apart?
   *
   * @internal
   */
  get isUnused(): boolean {
    const time = this.#alarm.time;
    return this.#line.length === 0 && this.#pausedUntil <= time && this.#window.isIdle(time);
  }

  /**
   * The units that a request stands for. Asks for no place.
   *
   * @throws {TypeError | RangeError} as `acquire`.
   * @internal
   */
  checkCost(request?: AcquireRequest): number {
    const { cost } = check.options('request', request);
    if (!this.countsCost) return 1;
    const { limit } = this.#window;
    const expected = `a number from 0 to ${limit}`;
    if (typeof cost !== 'number') throw check.wrongType('cost', expected, cost);
    if (!(cost >= 0 && cost <= limit)) throw check.outOfRange('cost', expected, cost);
    return cost;
  }

  /** When one who comes now has its turn: now, later, or `NEVER` if others decide. */
  #turnAt(units: number, time: Milliseconds): Milliseconds {
    return this.#line.length > 0 ? NEVER : this.#freeAt(units, time);
  }

  #freeAt(units: number, time: Milliseconds, reserved?: number): Milliseconds {
    return Math.max(this.#pausedUntil, this.#window.freeAt(units, time, reserved));
  }

  /**
   * How long the last of so many units has to wait if they start as soon as the window lets them. Each `limit` of them takes an
   * `interval`; what is left over has to wait for the stamps of now. Exact for units of 1, else never too long.
   */
  #waitOf(units: number, time: Milliseconds): Milliseconds {
    const { limit, interval } = this.#window;
    const rounds = Math.max(Math.ceil(units / limit) - 1, 0);
    const rest = Math.min(units - rounds * limit, limit);
    return rounds * interval + this.#freeAt(rest, time, 0) - time;
  }

  /** The same for one who comes now, if those who have a place start at once and nobody leaves. */
  #expectedWait(units: number, time: Milliseconds): Milliseconds {
    return this.#waitOf(this.#window.reserved + this.#line.units + units, time);
  }

  /** The refusal of one who comes now, if it is sure to wait too long: places that are reserved may be given back any moment. */
  #refuse(units: number, time: Milliseconds): RateLimitedError | undefined {
    const isSure = this.#maxWait === 0 || this.#waitOf(this.#line.units + units, time) > this.#maxWait;
    if (!isSure) return undefined;
    this.#refused++;
    return this.#refusal(units, time);
  }

  #refusal(units: number, time: Milliseconds): RateLimitedError {
    return new RateLimitedError({ source: this.name, retryAfter: this.#expectedWait(units, time) });
  }

  #wait(units: number, signal: AbortSignal | undefined, time: Milliseconds): Promise<Permit> {
    const { onWait } = this.#hooks.listeners;
    const waitMs = onWait === undefined ? 0 : this.#expectedWait(units, time);
    const promise = new Promise<Permit>((resolve, reject) => {
      this.#line.push(new RateWaiter(units, time, signal, resolve, reject, this.#onAbort));
    });
    if (this.#line.length === 1) this.#serve(time);
    if (onWait !== undefined) this.#hooks.tell(onWait, { name: this.name, waitMs });
    return promise;
  }

  readonly #onAbort = (waiter: RateWaiter): void => {
    this.#line.remove(waiter);
    waiter.reject(waiter.signal?.reason);
    this.#serve(this.#alarm.time, true);
  };

  #admit(units: number, since: Milliseconds, time: Milliseconds): Permit {
    this.#admitted++;
    if (this.#sampler.next()) {
      this.#histogram ??= new DurationHistogram(time);
      this.#histogram.add(time - since, time, this.#sampler.weight(time));
    }
    return permitFor(this.#place(units, GRANTED));
  }

  #place(units: number, triedAt: number): RatePlace {
    this.#window.reserve(units);
    return new RatePlace(this.#holder, units, triedAt);
  }

  readonly #holder: PlaceHolder = {
    started: ({ units, triedAt }) => {
      const time = this.#alarm.time;
      this.#window.start(units, time);
      if (triedAt !== GRANTED) this.#admitted++;
      // Who was told that it depends on this place can now be told until when.
      if (this.#line.length > 0 || this.#saidNever) this.#serve(time, this.#saidNever);
    },
    givenBack: ({ units, triedAt }) => {
      this.#window.cancel(units);
      this.#serve(this.#alarm.time, triedAt === GRANTED || triedAt !== this.#denials);
    },
  };

  /** Gives turns to those who wait, as many as there are, and arms the timer for the next. @param isNews see `onChange`. */
  #serve(time: Milliseconds, isNews = this.#line.length > 0): void {
    const late: RateWaiter[] = [];
    for (let head = this.#line.head; head !== undefined; head = this.#line.head) {
      const { units, since, signal } = head;
      const freeAt = this.#freeAt(units, time);
      const next = Math.min(freeAt, since + this.#maxWait);
      // An abort that is on its way wins.
      const isAborted = signal?.aborted === true;
      if (!isAborted && next > time) {
        this.#alarm.set(next, time);
        break;
      }
      this.#line.remove(head);
      if (isAborted) head.reject(signal.reason);
      else if (freeAt <= time) head.resolve(this.#admit(units, since, time));
      else late.push(head);
    }
    this.#refused += late.length;
    for (const { units, reject } of late) reject(this.#refusal(units, time));
    if (this.#line.length > 0) return;
    this.#alarm.clear();
    if (isNews) this.#wake();
  }

  #wake(): void {
    this.#saidNever = false;
    for (const listener of [...this.#listeners]) {
      if (!this.#listeners.has(listener)) continue;
      try {
        listener.wake();
      } catch (error) {
        reportError(`A listener of \`${this.name}\` failed.`, error);
      }
    }
  }
}
