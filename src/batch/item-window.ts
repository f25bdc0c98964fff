import type { Awaitable, TaskContext } from '../core/types.js';
import type { Attempts } from '../retry/attempts.js';
import { askRules } from './ask-rules.js';
import { CallContext } from './call-context.js';
import { Entry } from './ledger.js';
import type { Settings } from './settings.js';
import type { BatchContext } from './types.js';
import { BatchWindow, type Job } from './window.js';

class ItemJob<I> extends Entry<I> implements Job {
  readonly tries: Attempts | undefined;

  constructor(item: I, index: number, tries: Attempts | undefined) {
    super(item, index);
    this.tries = tries;
  }
}

class ItemCallContext extends CallContext implements BatchContext {
  readonly index: number;
  readonly attempt: number;

  constructor(outer: TaskContext | undefined, index: number, attempt: number) {
    super(outer);
    this.index = index;
    this.attempt = attempt;
  }
}

/** One call per item. */
export class ItemWindow<I, R> extends BatchWindow<I, R, ItemJob<I>> {
  readonly #work: (item: I, context: BatchContext) => Awaitable<R>;

  constructor(
    items: Iterable<I> | AsyncIterable<I>,
    work: (item: I, context: BatchContext) => Awaitable<R>,
    settings: Settings,
  ) {
    super(items, settings);
    this.#work = work;
  }

  protected override next(): ItemJob<I> | undefined {
    if (!this.source.pull()) return undefined;
    const job = new ItemJob(this.source.item, this.ledger.length, this.makeTries());
    this.ledger.add(job);
    return job;
  }

  override entered(job: ItemJob<I>): void {
    job.attempts++;
    this.tally.entered();
  }

  override makeContext({ index, attempts }: ItemJob<I>, outer: TaskContext | undefined): CallContext {
    return new ItemCallContext(outer, index, attempts);
  }

  override call({ item }: ItemJob<I>, context: ItemCallContext): Awaitable<R> {
    // Not as a method: `this` would be the window.
    const work = this.#work;
    return work(item, context);
  }

  protected override fulfilled(job: ItemJob<I>, value: R): void {
    this.ledger.fulfil(job, value);
  }

  protected override rejected(job: ItemJob<I>, error: unknown): void {
    if (job.tries === undefined) this.ledger.reject(job, error);
    else void this.#askRules(job, job.tries, error);
  }

  async #askRules(job: ItemJob<I>, tries: Attempts, error: unknown): Promise<void> {
    const answer = await askRules(tries, error, { signal: this.settings.signal });
    this.turn(() => {
      if (answer.again) this.queue(job, answer.delay);
      else if (!answer.isAborted) this.ledger.reject(job, answer.error);
    });
  }
}
