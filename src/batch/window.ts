import { AbortSubscription } from '../core/abort.js';
import { now } from '../core/clock.js';
import { Deadlines } from '../core/deadlines.js';
import { observe } from '../core/deferred.js';
import { Fifo } from '../core/fifo.js';
import type { Milliseconds, TaskContext } from '../core/types.js';
import { Attempts } from '../retry/attempts.js';
import type { CallContext } from './call-context.js';
import { Lane, type LaneOwner } from './lane.js';
import { Entry, type Outlet } from './outlet.js';
import { Progress } from './progress.js';
import { concurrencyOf, type Settings } from './settings.js';
import { openSource, type Source } from './source.js';
import { Tally } from './tally.js';

/** What one call is about. */
export interface Job {
  /** If it may be repeated. */
  readonly tries: Attempts | undefined;
}

/** An abort; in an object, because its reason may be undefined. */
type Abort = { readonly reason: unknown };

/** How long an aborted batch waits for its source to clean up, ms, unless its `timeout` is shorter. */
const CLOSING = 1_000;

/**
 * The window that slides over a batch: as many lanes as `concurrency` allows, each with one call; whatever ends makes
 * room for the next in the same turn, so there is no barrier. What waits for a repeat holds no lane; when its time has
 * come it goes before the source. The source is asked only when a lane is free and `delay` has passed.
 *
 * Every change runs in a *turn*: the change, then the starts it allows, then, if nothing is left, the end. Callbacks of
 * the user run inside and may abort the batch, which then ends with that turn: a state that is half changed is never
 * reported.
 *
 * Subclasses say what a job is, how it is called and what its outcome means.
 */
export abstract class BatchWindow<I, R, J extends Job> implements LaneOwner<J> {
  readonly settings: Settings;
  readonly deadlines = new Deadlines();
  protected readonly tally = new Tally();
  protected readonly source: Source<I>;

  readonly #outlet: Outlet<I, R>;
  #startedAt = Number.NaN;
  #progress: Progress | undefined;
  /** Items pulled so far: the index of the next. */
  #pulled = 0;
  readonly #lanes: Lane<J>[] = [];
  readonly #idle: Lane<J>[] = [];
  /** Jobs that were made and wait for a lane. */
  readonly #ready = new Fifo<J>();
  /** What may be repeated and is not done. */
  readonly #open = new Set<Attempts>();
  #occupied = 0;
  #isSpacing = false;
  #isInTurn = false;
  #isOver = false;
  #abort: Abort | undefined;
  #subscription: AbortSubscription | undefined;

  /** @throws {TypeError} `items` is not iterable. */
  constructor(items: Iterable<I> | AsyncIterable<I>, settings: Settings, outlet: Outlet<I, R>) {
    this.settings = settings;
    this.source = openSource(items, () => this.turn());
    this.#outlet = outlet;
  }

  /** Makes the next job from the source, if it gives enough for one now. */
  protected abstract next(): J | undefined;
  abstract entered(job: J): void;
  abstract makeContext(job: J, outer: TaskContext | undefined): CallContext;
  abstract call(job: J, context: CallContext): unknown;
  protected abstract fulfilled(job: J, value: unknown): void;
  protected abstract rejected(job: J, error: unknown): void;

  /** To be called once. The outlet is told of the end. */
  run(): void {
    const { tally } = this;
    const { source, signal, onProgress } = this.settings;
    this.#startedAt = now();
    const start = { tally, total: this.source.total, startedAt: this.#startedAt };
    this.#progress = onProgress && new Progress(source, onProgress, start);
    if (signal?.aborted === true) this.#abort = { reason: signal.reason };
    else if (signal !== undefined) this.#subscription = new AbortSubscription(signal, this);
    this.turn();
  }

  /** The outlet may want more by now. */
  goOn(): void {
    this.turn();
  }

  protected get isAborted(): boolean {
    return this.#abort !== undefined;
  }

  /** True: an item was pulled, to be taken. */
  protected pull(): boolean {
    return this.#outlet.wantsMore(this.#pulled) && this.source.pull();
  }

  /** The item pulled last, entered into the books. */
  protected take(tries?: Attempts): Entry<I> {
    const entry = new Entry(this.source.item, this.#pulled++, tries);
    this.#outlet.add(entry);
    return entry;
  }

  protected fulfil({ item, index, attempts }: Entry<I>, value: R): void {
    this.#outlet.keep({ status: 'fulfilled', value, item, index, attempts });
    this.tally.fulfilled++;
    this.#progress?.tell();
  }

  protected reject({ item, index, attempts }: Entry<I>, reason: unknown): void {
    this.#outlet.keep({ status: 'rejected', reason, item, index, attempts });
    this.tally.rejected++;
    this.#progress?.tell();
  }

  /** Lets a change happen and draws the consequences. After the end nothing changes any more. */
  protected turn(change?: () => void): void {
    if (this.#isOver) return;
    const isNested = this.#isInTurn;
    this.#isInTurn = true;
    change?.();
    if (!isNested) this.#endTurn();
  }

  /** The state of a job that may be repeated; undefined where no retry was asked for. */
  protected makeTries(): Attempts | undefined {
    const { plan } = this.settings;
    if (plan === undefined) return undefined;
    const startedAt = now();
    return new Attempts(plan, startedAt + plan.totalTimeout, startedAt, { family: this, open: this.#open });
  }

  /** Before anything new from the source, but not before `delay` ms have passed. */
  protected queue(job: J, delay: Milliseconds = 0): void {
    if (delay === 0) this.#ready.push(job);
    else this.deadlines.add(delay, () => this.turn(() => this.#ready.push(job)));
  }

  exited(): void {
    this.tally.inFlight--;
  }

  settled(job: J, isFulfilled: boolean, result: unknown, freed: Lane<J> | undefined): void {
    const isNested = this.#isInTurn;
    this.#isInTurn = true;
    if (freed !== undefined) this.#free(freed);
    if (isFulfilled) this.fulfilled(job, result);
    // The work may hear of an abort before we do. What it then rejects with is no failure of the item.
    else if (this.settings.signal?.aborted !== true) this.rejected(job, result);
    if (!isNested) this.#endTurn();
  }

  vacated(lane: Lane<J>): void {
    this.#free(lane);
    this.turn();
  }

  gaveUp(running: number): void {
    this.tally.abandoned++;
    this.tally.inFlight -= running;
    this.#occupied--;
    this.turn();
  }

  /** Ends it with what is known. A second time it does nothing. */
  onAbort(reason: unknown): void {
    this.#abort ??= { reason };
    this.turn();
  }

  #free(lane: Lane<J>): void {
    this.#idle.push(lane);
    this.#occupied--;
  }

  #endTurn(): void {
    while (this.#mayStart) {
      const job = this.#ready.shift() ?? this.next();
      if (job === undefined) break;
      // The source's own code has just run.
      if (this.#abort === undefined) this.#start(job);
    }
    this.#isInTurn = false;
    if (this.source.isEnded && this.tally.settled === this.#pulled) this.#finish(undefined);
    else if (this.#abort !== undefined) this.#finish(this.#abort);
  }

  get #mayStart(): boolean {
    return this.#abort === undefined && !this.#isSpacing && this.#occupied < concurrencyOf(this.settings);
  }

  #start(job: J): void {
    const { delay } = this.settings;
    if (delay > 0) {
      this.#isSpacing = true;
      this.deadlines.add(delay, this.#onSpaced);
    }
    if (job.tries !== undefined && job.tries.begin() > 1) this.tally.retries++;
    this.#occupied++;
    (this.#idle.pop() ?? this.#makeLane()).start(job);
  }

  readonly #onSpaced = (): void => {
    this.#isSpacing = false;
    this.turn();
  };

  #makeLane(): Lane<J> {
    const lane = new Lane<J>(this);
    this.#lanes.push(lane);
    return lane;
  }

  #finish(abort: Abort | undefined): void {
    const durationMs = now() - this.#startedAt;
    this.#isOver = true;
    this.#subscription?.end();
    this.deadlines.clear();
    if (abort !== undefined) {
      for (const tries of this.#open) tries.end('aborted');
      this.#outlet.skip(abort.reason, this.source.rest());
      for (const lane of this.#lanes) lane.abort(abort.reason);
    }

    const end = (): void => {
      this.deadlines.clear();
      this.#outlet.end({ abort, failure: this.source.failure, tally: this.tally, durationMs });
    };
    const closing = this.source.close();
    if (closing === undefined) {
      end();
    } else {
      this.deadlines.add(Math.min(this.settings.timeout, CLOSING), end);
      observe(closing, end, end);
    }
  }
}
