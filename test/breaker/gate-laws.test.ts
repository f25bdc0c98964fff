import { describe, expect, test } from 'vitest';
import { CircuitBreaker } from '../../src/breaker/index.js';
import type { Gate } from '../../src/core/gate.js';
import { PromisePool } from '../../src/pool/index.js';
import { gateLaws } from '../../src/testing/index.js';

function halfOpen(probes: number): CircuitBreaker {
  const breaker = new CircuitBreaker({ probes, openFor: 0 });
  breaker.forceOpen(0);
  return breaker;
}

function openWithFailure(): CircuitBreaker {
  const breaker = new CircuitBreaker({ consecutiveFailures: 1 });
  breaker.acquire().report('failure');
  return breaker;
}

/** In real time, as an app would run the laws. */
const gates: Record<string, () => { gate: Gate; capacity: number }> = {
  'a closed breaker': () => ({ gate: new CircuitBreaker(), capacity: Infinity }),
  'a breaker that opens at the first failure': () => ({
    gate: new CircuitBreaker({ failureRate: 0, minCalls: 1, consecutiveFailures: 1 }),
    capacity: Infinity,
  }),
  'a breaker that was open': () => {
    const gate = openWithFailure();
    gate.reset();
    return { gate, capacity: Infinity };
  },
  'an open breaker': () => ({ gate: openWithFailure(), capacity: 0 }),
  'a breaker that was opened by hand': () => {
    const gate = new CircuitBreaker();
    gate.forceOpen();
    return { gate, capacity: 0 };
  },
  'a half-open breaker with two probes': () => ({ gate: halfOpen(2), capacity: 2 }),
  'a half-open breaker with three probes': () => ({ gate: halfOpen(3), capacity: 3 }),
  'a half-open breaker with ten probes': () => ({ gate: halfOpen(10), capacity: 10 }),
  'a pool of three behind a closed breaker': () => ({
    gate: new PromisePool({ concurrency: 3, gates: [new CircuitBreaker()] }),
    capacity: 3,
  }),
};

describe.each(Object.entries(gates))('%s', (_, make) => {
  const laws = gateLaws(make);
  test('has laws', () => expect(laws.length).toBeGreaterThan(20));
  test.each(laws.map((law) => [law.name, law] as const))('%s', (_, law) => law.run());
});
