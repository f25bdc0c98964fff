import { describe, expectTypeOf, test } from 'vitest';
import {
  type CoalescerMetrics,
  type LoadInfo,
  ReaderBehindError,
  StreamCoalescer,
  type StreamCoalescerOptions,
  type StreamContext,
} from '../../src/coalescer/index.js';
import type { CloseReport, Key } from '../../src/core/types.js';

declare const tokens: (question: string, options?: { signal?: AbortSignal }) => AsyncGenerator<string>;
declare const sdk: { create(): Promise<AsyncIterable<{ readonly delta: string }>> };

describe('with one type of chunk', () => {
  const answers = new StreamCoalescer<string | null, readonly [user: string, question: string]>({ ttl: 5_000 });

  test('a reader gives that type, never what its own stream would narrow it to', () => {
    const reader = answers.stream(['u', 'q'], ({ signal }) => tokens('q', { signal }), {
      signal: new AbortController().signal,
    });
    expectTypeOf(reader).toEqualTypeOf<AsyncGenerator<string | null, void, undefined>>();
  });

  test('and the key has its type', () => {
    // @ts-expect-error another key
    answers.stream('q', () => tokens('q'));
    // @ts-expect-error another key
    answers.forget('q');
    expectTypeOf(answers.forget(([user]) => user === 'u', { abort: true })).toEqualTypeOf<number>();
    answers.stream(['u', 'q'], (context) => {
      expectTypeOf(context).toEqualTypeOf<StreamContext<readonly [user: string, question: string]>>();
      const { key, signal, noStore } = context;
      expectTypeOf(key).toEqualTypeOf<readonly [user: string, question: string]>();
      expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
      expectTypeOf(noStore).toEqualTypeOf<() => void>();
      return tokens('q');
    });
  });

  test('other chunks do not compile', () => {
    // @ts-expect-error numbers
    answers.stream(['u', 'q'], async function* () {
      yield 1;
    });
    // @ts-expect-error a sync iterable
    answers.stream(['u', 'q'], () => ['a']);
    // @ts-expect-error a stream that was opened already
    answers.stream(['u', 'q'], tokens('q'));
    // @ts-expect-error no stream at all
    answers.stream(['u', 'q'], () => {});
  });
});

describe('without one', () => {
  const any = new StreamCoalescer();

  test('each reader gives what its own function opens', () => {
    expectTypeOf(any.stream('k', () => tokens('q'))).toEqualTypeOf<AsyncGenerator<string, void, undefined>>();
    expectTypeOf(any.stream('k', () => sdk.create())).toEqualTypeOf<
      AsyncGenerator<{ readonly delta: string }, void, undefined>
    >();
    expectTypeOf(any.stream('k', async ({ signal }) => tokens('q', { signal }))).toEqualTypeOf<
      AsyncGenerator<string, void, undefined>
    >();
    const text = new StreamCoalescer<string>().stream('k', async function* () {
      yield 'a';
    });
    expectTypeOf(text).toEqualTypeOf<AsyncGenerator<string, void, undefined>>();
  });

  test('for await sees the chunks', async () => {
    for await (const chunk of any.stream('k', () => tokens('q'))) expectTypeOf(chunk).toEqualTypeOf<string>();
  });
});

describe('options', () => {
  test('take an explicit undefined', () => {
    const all: Required<StreamCoalescerOptions> = {
      name: undefined,
      ttl: undefined,
      maxBuffer: undefined,
      maxEntries: undefined,
      idleTimeout: undefined,
      whenOrphaned: undefined,
      hooks: undefined,
    };
    new StreamCoalescer(all).stream('k', () => tokens('q'), { signal: undefined, fresh: undefined });
    new StreamCoalescer<string, readonly ['answer', string]>({
      ttl: (info) => {
        expectTypeOf(info).toEqualTypeOf<LoadInfo<readonly ['answer', string]>>();
        return 5;
      },
    });
  });

  test('that are wrong do not compile', () => {
    // @ts-expect-error text
    new StreamCoalescer({ ttl: '5s' });
    // @ts-expect-error the name of the other coalescer's option
    new StreamCoalescer({ loadTimeout: 5 });
    // @ts-expect-error no such way
    new StreamCoalescer({ whenOrphaned: 'keep' });
    // @ts-expect-error a reader has no `waitUntil`
    new StreamCoalescer().stream('k', () => tokens('q'), { waitUntil: () => {} });
  });
});

test('the rest', () => {
  const all: StreamCoalescer[] = [new StreamCoalescer<string, string>(), new StreamCoalescer<'a' | 'b'>({ ttl: 5 })];
  expectTypeOf(all).items.toExtend<{ readonly name: string; getMetrics(): CoalescerMetrics }>();
  const coalescer = new StreamCoalescer<string>();
  expectTypeOf(coalescer.subscribe({ onLoadStart: ({ key }) => expectTypeOf(key).toEqualTypeOf<Key>() })).toEqualTypeOf<
    () => void
  >();
  expectTypeOf(coalescer.close({ grace: 5 })).toEqualTypeOf<Promise<CloseReport>>();
  expectTypeOf(coalescer).toExtend<AsyncDisposable>();
  const behind = new ReaderBehindError({ source: 's', maxBuffer: 5 });
  expectTypeOf(behind.maxBuffer).toEqualTypeOf<number>();
});
