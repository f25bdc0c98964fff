import { expectTypeOf, test } from 'vitest';
import { type Gate, PromisePool } from '../../src/index.js';
import { type GateLaw, gateLaws } from '../../src/testing/index.js';

declare const own: Gate;

test('gateLaws takes what makes a gate, and gives what a test runner takes', () => {
  expectTypeOf(gateLaws(() => ({ gate: own, capacity: 3 }))).toEqualTypeOf<readonly GateLaw[]>();
  expectTypeOf(gateLaws(() => ({ gate: new PromisePool({ concurrency: 3 }), capacity: 3 }))).toEqualTypeOf<
    readonly GateLaw[]
  >();
  expectTypeOf<GateLaw['run']>().toEqualTypeOf<() => Promise<void>>();
  expectTypeOf<GateLaw['name']>().toEqualTypeOf<string>();
});

test('gateLaws needs both, and not a promise of them', () => {
  // @ts-expect-error the capacity is missing
  gateLaws(() => ({ gate: own }));
  // @ts-expect-error a gate is not what makes one
  gateLaws(own);
  // @ts-expect-error it is made when a law runs, at once
  gateLaws(async () => ({ gate: own, capacity: 3 }));
  // @ts-expect-error a pool's execute is no acquire
  gateLaws(() => ({ gate: { execute: () => {} }, capacity: 3 }));
});
