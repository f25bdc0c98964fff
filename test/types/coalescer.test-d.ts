import { describe, expectTypeOf, test } from 'vitest';
import {
  type CoalesceOptions,
  type CoalescerMetrics,
  type LoadContext,
  type LoadInfo,
  RequestCoalescer,
  type RequestCoalescerOptions,
} from '../../src/coalescer/index.js';
import type { CloseReport, Key } from '../../src/core/types.js';

interface Order {
  readonly id: string;
  readonly total: number;
}
interface Invoice extends Order {
  readonly due: string;
}
declare const order: (id: string, options?: { signal?: AbortSignal }) => Promise<Order>;
declare const invoice: (id: string) => Promise<Invoice>;

describe('with one type of value', () => {
  const orders = new RequestCoalescer<Order | null, string>({ ttl: 5_000 });

  test('a call gives that type, never what its own load would narrow it to', () => {
    expectTypeOf(orders.execute('1', ({ signal }) => order('1', { signal }))).toEqualTypeOf<Promise<Order | null>>();
    expectTypeOf(orders.execute('1', () => invoice('1'))).toEqualTypeOf<Promise<Order | null>>();
    expectTypeOf(orders.execute('1', () => null)).toEqualTypeOf<Promise<Order | null>>();
    const switches = new RequestCoalescer<'on' | 'off'>();
    expectTypeOf(switches.execute('x', () => 'on')).toEqualTypeOf<Promise<'on' | 'off'>>();
  });

  test('so does what is stored', () => {
    expectTypeOf(orders.peek('1')).toEqualTypeOf<
      { readonly value: Order | null; readonly state: 'fresh' | 'stale'; readonly ageMs: number } | undefined
    >();
    orders.set('1', null);
    orders.set('1', { id: '1', total: 5 }, { ttl: 50 });
    // @ts-expect-error another value
    orders.set('1', { id: '1' });
    // @ts-expect-error another value, from a load
    void orders.execute('1', () => 5);
    // @ts-expect-error another value, ahead
    orders.prefetch('1', async () => 'order');
  });

  test('and the key has its type', () => {
    // @ts-expect-error another key
    void orders.execute(1, () => order('1'));
    // @ts-expect-error another key
    orders.forget(1);
    // @ts-expect-error the predicate sees keys, not values
    orders.forget((each: Order) => each.total > 0);
    expectTypeOf(orders.forget((id) => id.startsWith('a'), { abort: true })).toEqualTypeOf<number>();
  });

  test('the load sees the key and the value it replaces', () => {
    type Seen = LoadContext<Order | null, string>;
    void orders.execute('1', (context) => {
      expectTypeOf(context).toEqualTypeOf<Seen>();
      return null;
    });
    expectTypeOf<Seen['stale']>().toEqualTypeOf<{ readonly value: Order | null; readonly ageMs: number } | undefined>();
    expectTypeOf<Seen['reason']>().toEqualTypeOf<'miss' | 'refresh'>();
    expectTypeOf<Seen['key']>().toEqualTypeOf<string>();
  });
});

describe('without a type argument', () => {
  const any = new RequestCoalescer({ ttl: 5 });

  test('each call has the type of its own load, also if its context is destructured', () => {
    expectTypeOf(any.execute('o', ({ signal }) => order('1', { signal }))).toEqualTypeOf<Promise<Order>>();
    expectTypeOf(any.execute(['n', 5, undefined], () => 5)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(any.execute(1n, ({ stale, noStore }) => (stale ? stale.value : noStore()))).toEqualTypeOf<
      Promise<unknown>
    >();
  });

  test('what is no key does not compile', () => {
    // @ts-expect-error an object
    void any.execute({ id: 1 }, () => 1);
    // @ts-expect-error a tuple in a tuple
    void any.execute(['a', ['b']], () => 1);
    // @ts-expect-error a boolean
    void any.execute(true, () => 1);
  });

  test('nor what is no load', () => {
    // @ts-expect-error a promise has started already
    void any.execute('o', order('1'));
    // @ts-expect-error the load comes second
    void any.execute(() => order('1'), 'o');
    // @ts-expect-error no load
    void any.execute('o');
  });
});

describe('inference', () => {
  test('from the options', () => {
    const tokens = new RequestCoalescer({ ttl: (token: { expiresIn: number }) => token.expiresIn });
    expectTypeOf(tokens).toEqualTypeOf<RequestCoalescer<{ expiresIn: number }>>();
    const copies = new RequestCoalescer<Order>({ clone: structuredClone });
    expectTypeOf(copies).toEqualTypeOf<RequestCoalescer<Order>>();
    new RequestCoalescer<Order, readonly ['order', string]>({
      ttl: (value, info) => {
        expectTypeOf(value).toEqualTypeOf<Order>();
        expectTypeOf(info).toEqualTypeOf<LoadInfo<readonly ['order', string]>>();
        return 5;
      },
    });
  });

  test('one type stands for all', () => {
    const all: RequestCoalescer[] = [
      new RequestCoalescer<Order, string>(),
      new RequestCoalescer<'on' | 'off'>(),
      new RequestCoalescer({ ttl: 5 }),
    ];
    expectTypeOf(all).items.toExtend<{ readonly name: string; getMetrics(): CoalescerMetrics }>();
  });

  test('inside generic code', () => {
    class Repository<V> {
      readonly #rows = new RequestCoalescer<V, string>();
      get(id: string, load: (id: string) => Promise<V>): Promise<V> {
        return this.#rows.execute(id, () => load(id));
      }
    }
    expectTypeOf(new Repository<Order>().get).returns.toEqualTypeOf<Promise<Order>>();
  });
});

describe('options', () => {
  test('take an explicit undefined', () => {
    const signal = undefined as AbortSignal | undefined;
    const options: CoalesceOptions = { signal, fresh: undefined, waitUntil: undefined };
    void new RequestCoalescer().execute('k', () => 1, options);
    const all: Required<RequestCoalescerOptions> = {
      name: undefined,
      ttl: undefined,
      errorTtl: undefined,
      staleTtl: undefined,
      jitter: undefined,
      maxEntries: undefined,
      loadTimeout: undefined,
      whenOrphaned: undefined,
      clone: undefined,
      waitUntil: undefined,
      hooks: undefined,
    };
    new RequestCoalescer(all);
  });

  test('that are wrong do not compile', () => {
    // @ts-expect-error text
    new RequestCoalescer({ ttl: '5s' });
    // @ts-expect-error a typo
    new RequestCoalescer({ tll: 5 });
    // @ts-expect-error lru-cache's name
    new RequestCoalescer({ max: 5 });
    // @ts-expect-error no such way
    new RequestCoalescer({ whenOrphaned: 'keep' });
    // @ts-expect-error the signal is an option, not an argument
    void new RequestCoalescer().execute('k', () => 1, new AbortController().signal.reason as number);
    // @ts-expect-error a prefetch belongs to nobody who could leave
    new RequestCoalescer().prefetch('k', () => 1, { signal: new AbortController().signal });
  });
});

test('hooks, metrics and the end', () => {
  const coalescer = new RequestCoalescer<Order>({
    hooks: {
      onHit: ({ kind, ageMs }) => {
        expectTypeOf(kind).toEqualTypeOf<'fresh' | 'stale' | 'error'>();
        expectTypeOf(ageMs).toEqualTypeOf<number>();
      },
      onCoalesce: ({ callers }) => expectTypeOf(callers).toEqualTypeOf<number>(),
      onLoadStart: ({ key }) => expectTypeOf(key).toEqualTypeOf<Key>(),
      onLoadEnd: ({ status, error }) => {
        expectTypeOf(status).toEqualTypeOf<'fulfilled' | 'rejected' | 'timeout' | 'aborted'>();
        expectTypeOf(error).toEqualTypeOf<unknown>();
      },
      onEvict: ({ name }) => expectTypeOf(name).toEqualTypeOf<string>(),
    },
  });
  expectTypeOf(coalescer.subscribe({})).toEqualTypeOf<() => void>();
  expectTypeOf(coalescer.close({ grace: 5 })).toEqualTypeOf<Promise<CloseReport>>();
  expectTypeOf(coalescer).toExtend<AsyncDisposable>();
  expectTypeOf(coalescer.getMetrics().kind).toEqualTypeOf<'coalescer'>();
});
