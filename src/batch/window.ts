import { AbortSubscription } from '../core/abort.js';
import { now } from '../core/clock.js';
import { Deadlines } from '../core/deadlines.js';
import { observe } from '../core/deferred.js';
import { Fifo } from '../core/fifo.js';
import type { Milliseconds, TaskContext } from '../core/types.js';
import { Attempts } from '../retry/attempts.js';
import type { CallContext } from './call-context.js';
import { Lane, type LaneOwner } from './lane.js';
import { Ledger } from './ledger.js';
import { Progress } from './progress.js';
import { concurrencyOf, type Settings } from './settings.js';
import { openSource, type Source } from './source.js';
import { Tally } from './tally.js';
import type { BatchReport } from './types.js';

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
  protected readonly ledger: Ledger<I, R>;
  protected readonly source: Source<I>;

  readonly #startedAt = now();
  readonly #lanes: Lane<J>[] = [];
  readonly #idle: Lane<J>[] = [];
  /** Jobs that were made and wait for a lane. */
  readonly #ready = new Fifo<J>();
  #occupied = 0;
  #isSpacing = false;
  #isInTurn = false;
  #isOver = false;
  #abort: Abort | undefined;
  #subscription: AbortSubscription | undefined;
  #resolve!: (report: BatchReport<I, R>) => void;

  /** @throws {TypeError} `items` is not iterable. */
  constructor(items: Iterable<I> | AsyncIterable<I>, settings: Settings) {
    const { tally } = this;
    const { source, onProgress } = settings;
    this.settings = settings;
    this.source = openSource(items, () => this.turn());
    const start = { tally, total: this.source.total, startedAt: this.#startedAt };
    this.ledger = new Ledger(tally, onProgress && new Progress(source, onProgress, start));
  }

  /** Makes the next job from the source, if it gives enough for one now. */
  protected abstract next(): J | undefined;
  abstract entered(job: J): void;
  abstract makeContext(job: J, outer: TaskContext | undefined): CallContext;
  abstract call(job: J, context: CallContext): unknown;
  protected abstract fulfilled(job: J, value: unknown): void;
  protected abstract rejected(job: J, error: unknown): void;

  /** To be called once. Never rejects. */
  run(): Promise<BatchReport<I, R>> {
    return new Promise((resolve) => {
      this.#resolve = resolve;
      const { signal } = this.settings;
      if (signal?.aborted === true) this.#abort = { reason: signal.reason };
      else if (signal !== undefined) this.#subscription = new AbortSubscription(signal, this);
      this.turn();
    });
  }

  protected get isAborted(): boolean {
    return this.#abort !== undefined;
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
    const { rules } = this.settings;
    return rules && new Attempts(rules, Number.POSITIVE_INFINITY, now());
  }

  /** Before anything new from the source, but not before `delay` ms have passed. */
  protected queue(job: J, delay: Milliseconds = 0): void {
    if (delay === 0) this.#ready.push(job);
    else this.deadlines.add(delay, () => this.turn(() => this.#ready.push(job)));
  }

  exited(): void {
    this.tally.inFlight--;
  }

  settled(job: J, isFulfilled: boolean, result: unknown): void {
    // The work may hear of an abort before we do. What it then rejects with is no failure of the item.
    if (!isFulfilled && this.settings.signal?.aborted === true) return;
    const isNested = this.#isInTurn;
    this.#isInTurn = true;
    if (isFulfilled) this.fulfilled(job, result);
    else this.rejected(job, result);
    if (!isNested) this.#endTurn();
  }

  vacated(lane: Lane<J>): void {
    this.#idle.push(lane);
    this.#occupied--;
    this.turn();
  }

  gaveUp(running: number): void {
    this.tally.abandoned++;
    this.tally.inFlight -= running;
    this.#occupied--;
    this.turn();
  }

  onAbort(reason: unknown): void {
    this.#abort = { reason };
    this.turn();
  }

  #endTurn(): void {
    while (this.#mayStart) {
      const job = this.#ready.shift() ?? this.next();
      if (job === undefined) break;
      // The source's own code has just run.
      if (this.#abort === undefined) this.#start(job);
    }
    this.#isInTurn = false;
    if (this.source.isEnded && this.ledger.isSettled) this.#finish(undefined);
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
      this.ledger.skip(abort.reason, this.source.rest());
      for (const lane of this.#lanes) lane.abort(abort.reason);
    }

    const end = (): void => {
      this.deadlines.clear();
      this.#resolve(this.ledger.report({ abort, failure: this.source.failure, durationMs }));
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
