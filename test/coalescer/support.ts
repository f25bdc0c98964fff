import { expect } from 'vitest';
import type { LoadContext, RequestCoalescer } from '../../src/coalescer/index.js';
import type { Awaitable, Key } from '../../src/core/types.js';

/** One load that the test settles by hand. */
export interface ManualLoad<V> {
  readonly context: LoadContext<V>;
  readonly signal: AbortSignal;
  resolve(value: Awaitable<V>): void;
  reject(reason: unknown): void;
}

/** An upstream whose every load waits for the test. */
export function manualUpstream<V = unknown>() {
  const loads: ManualLoad<V>[] = [];
  const load = (context: LoadContext<V>): Promise<V> =>
    new Promise<V>((resolve, reject) => {
      loads.push({ context, signal: context.signal, resolve, reject });
    });
  const nth = (index: number): ManualLoad<V> => loads[index] as ManualLoad<V>;
  return { loads, load, nth };
}

/** Lets all promise reactions run; no time passes. */
export async function turn(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

/** What a promise has come to by now, without waiting for it. */
export async function state(promise: Promise<unknown>): Promise<unknown> {
  let seen: unknown = 'pending';
  promise.then(
    (value) => {
      seen = { value };
    },
    (reason: unknown) => {
      seen = { reason };
    },
  );
  await turn();
  return seen;
}

/** The law of the counters: each call is counted, once. */
export function expectIdentity(coalescer: RequestCoalescer): void {
  const { calls, hits, staleHits, errorHits, coalesced, loads, refused } = coalescer.getMetrics();
  expect(hits + staleHits + errorHits + coalesced + loads + refused).toBe(calls);
}

/** Loads that never settle. */
export const never = (): Promise<never> => new Promise<never>(() => {});

/** Every kind of key, with what must stay apart and what must not. */
export const trickyKeys: readonly Key[] = [
  '',
  '1',
  1,
  1n,
  Number.NaN,
  'NaN',
  'null',
  'undefined',
  [],
  [null],
  [undefined],
  ['null'],
  [1],
  ['1'],
  [1n],
  [true],
  ['true'],
  [Number.NaN],
  ['a', 'b'],
  ['a,b'],
  ['a-b', 'c'],
  ['a', 'b-c'],
  ['', ''],
  [''],
  '\ud800',
  '\udc00',
  ['\ud800', '\udc00'],
  ['\ud800\udc00'],
  '\u0000',
  '\u0000t',
  '\u0000ts1:a',
  ['a'],
  '\u0000s',
  Symbol.for('a'),
  Symbol('a'),
  'a',
  ...Object.getOwnPropertyNames(Object.prototype),
];
