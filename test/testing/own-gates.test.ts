import { describe, expect, test } from 'vitest';
import type { Gate } from '../../src/core/gate.js';
import { RateLimiter } from '../../src/limits/index.js';
import { PromisePool } from '../../src/pool/index.js';
import { gateLaws } from '../../src/testing/index.js';

const HOUR = 3_600_000;

/**
 * Our own gates, in real time, as an app would run the laws. A pool with a rate limit is none of them: work by hand has begun when its slot is
 * given, so a place of the rate does not come back; nor is one behind gates beyond this process, whose `tryAcquire` can only refuse.
 */
const gates: Record<string, () => { gate: Gate; capacity: number }> = {
  'a pool of three': () => ({ gate: new PromisePool({ concurrency: 3 }), capacity: 3 }),
  'an unlimited pool': () => ({ gate: new PromisePool({ concurrency: Infinity }), capacity: Infinity }),
  'a pool of pools': () => ({
    gate: new PromisePool({ concurrency: 10, gates: [new PromisePool({ concurrency: 3 })] }),
    capacity: 3,
  }),
  'a rate limit of three calls an hour': () => ({ gate: new RateLimiter({ limit: 3, interval: HOUR }), capacity: 3 }),
  'a rate limit of three units an hour': () => ({
    gate: new RateLimiter({ limit: 3, interval: HOUR, counts: 'cost' }),
    capacity: 3,
  }),
};

describe.each(Object.entries(gates))('%s', (_, make) => {
  const laws = gateLaws(make);
  test('has laws', () => expect(laws.length).toBeGreaterThan(20));
  test.each(laws.map((law) => [law.name, law] as const))('%s', (_, law) => law.run());
});
