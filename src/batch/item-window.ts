import type { Awaitable, TaskContext } from '../core/types.js';
import type { Attempts } from '../retry/attempts.js';
import { askRules } from './ask-rules.js';
import { CallContext } from './call-context.js';
import type { Entry, Outlet } from './outlet.js';
import type { Settings } from './settings.js';
import type { BatchContext } from './types.js';
import { BatchWindow } from './window.js';

class ItemCallContext extends CallContext implements BatchContext {
  declare readonly index: number;
  declare readonly attempt: number;

  constructor(outer: TaskContext | undefined, index: number, attempt: number) {
    super(outer);
    this.index = index;
    this.attempt = attempt;
  }
}

/** One call per item. */
export class ItemWindow<I, R> extends BatchWindow<I, R, Entry<I>> {
  readonly #work: (item: I, context: BatchContext) => Awaitable<R>;

  /** @throws {TypeError} `items` is not iterable. */
  constructor(
    items: Iterable<I> | AsyncIterable<I>,
    work: (item: I, context: BatchContext) => Awaitable<R>,
    settings: Settings,
    outlet: Outlet<I, R>,
  ) {
    super(items, settings, outlet);
    this.#work = work;
  }

  protected override next(): Entry<I> | undefined {
    return this.pull() ? this.take(this.makeTries()) : undefined;
  }

  override entered(entry: Entry<I>): void {
    entry.attempts++;
    this.tally.entered();
  }

  override makeContext({ index, attempts }: Entry<I>, outer: TaskContext | undefined): CallContext {
    return new ItemCallContext(outer, index, attempts);
  }

  override call({ item }: Entry<I>, context: ItemCallContext): Awaitable<R> {
    // Not as a method: `this` would be the window.
    const work = this.#work;
    return work(item, context);
  }

  protected override fulfilled(entry: Entry<I>, value: R): void {
    entry.tries?.succeed();
    this.fulfil(entry, value);
  }

  protected override rejected(entry: Entry<I>, error: unknown): void {
    if (entry.tries === undefined) this.reject(entry, error);
    else void this.#askRules(entry, entry.tries, error);
  }

  async #askRules(entry: Entry<I>, tries: Attempts, error: unknown): Promise<void> {
    const answer = await askRules(tries, error, { signal: this.settings.signal });
    this.turn(() => {
      if (answer.again) this.queue(entry, answer.delay);
      else if (!answer.isAborted) this.reject(entry, answer.error);
    });
  }
}
