import { ignore, observe } from '../core/deferred.js';
import { ClosedError } from '../core/errors.js';
import { type ItemsOptions, runItems } from './items.js';

interface StreamOptions<I, R> extends ItemsOptions<I, R> {
  readonly order: 'input' | 'completion';
  /** Undefined: as many as may run. */
  readonly buffer: number | undefined;
}

/** A `next()` that waits. */
interface Request<R> {
  readonly resolve: (result: IteratorResult<R, void>) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * One call of `stream`. Results wait here until they are read, and are part of the bound: what was pulled and not read yet never exceeds
 * `max(concurrency, buffer)`. Written as an object, not as an async generator: that one would let `return()` wait behind a `next()`.
 */
export function runStream<I, R>(options: StreamOptions<I, R>): AsyncGenerator<R, void, undefined> {
  const { engine, order, buffer, signal } = options;
  /** Results that were not read, by the place in which they will be. */
  const ready = new Map<number, R>();
  const requests: Request<R>[] = [];
  let state: 'new' | 'open' | 'over' = 'new';
  let failure: { readonly reason: unknown } | undefined;
  let kept = 0;
  let read = 0;
  /** The reader has these by its own count too. */
  let delivered = 0;

  /** Answers those who wait, in turn: with a result, with the failure once, with the end. */
  const serve = (): void => {
    const readBefore = read;
    for (let request = requests[0]; request !== undefined; request = requests[0]) {
      if (ready.has(read)) {
        const value = ready.get(read) as R;
        ready.delete(read++);
        request.resolve({ done: false, value });
      } else if (state !== 'over') {
        break;
      } else if (failure !== undefined) {
        request.reject(failure.reason);
        failure = undefined;
      } else {
        request.resolve({ done: true, value: undefined });
      }
      requests.shift();
    }
    // Two microtasks later the reader has got hold of what it was given, also if that was there when it asked.
    if (read > readBefore) observe(Promise.resolve().then(ignore), deliver, ignore);
  };

  const deliver = (): void => {
    delivered = read;
    if (state === 'open') items.goOn();
  };

  const over = (why: typeof failure): void => {
    if (state === 'over') return;
    state = 'over';
    failure = why;
    serve();
  };

  const items = runItems(options, {
    promise: new Promise(ignore),
    keep: (index, result) => {
      ready.set(order === 'input' ? index : kept, result);
      kept++;
      serve();
    },
    wantsMore: (pulled) => {
      const concurrency = Math.min(options.concurrency, engine.admission.limit);
      return pulled - delivered < Math.max(concurrency, buffer ?? concurrency);
    },
    isBusy: (inFlight) => requests.length > 0 || inFlight > 0,
    finished: () => over(undefined),
    failed: (reason) => over({ reason }),
  });

  const open = (): void => {
    state = 'open';
    if (engine.isClosing) items.abort(new ClosedError({ source: engine.name }));
    else items.begin();
  };

  const leave = async (reason: unknown): Promise<void> => {
    state = 'over';
    ready.clear();
    const closing = items.closeSource();
    items.abort(reason);
    serve();
    await closing;
  };

  const stream: AsyncGenerator<R, void, undefined> = {
    next: () =>
      new Promise((resolve, reject) => {
        requests.push({ resolve, reject });
        if (state === 'new') open();
        serve();
      }),
    /** Leaves: what runs is aborted, the source is closed and waited for, unless it is busy with a `next()`. */
    async return() {
      await leave(undefined);
      return { done: true, value: undefined };
    },
    async throw(error: unknown) {
      await leave(error);
      throw error;
    },
    [Symbol.asyncIterator]: () => stream,
    [Symbol.asyncDispose]: () => leave(undefined),
  };
  if (signal?.aborted === true) items.abort(signal.reason);
  return stream;
}
