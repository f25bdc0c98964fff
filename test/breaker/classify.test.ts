import { expect, test } from 'vitest';
import { CircuitBreaker } from '../../src/breaker/index.js';

// `classify` is the user's code and may come back, as hooks may: "what they do stands".
test('a forceOpen inside classify keeps its duration, whatever it answers', async () => {
  for (const verdict of ['failure', 'overload', 'success', 'ignore'] as const) {
    const breaker: CircuitBreaker = new CircuitBreaker({
      openFor: 30_000,
      classify: () => {
        breaker.forceOpen(3_600_000);
        return verdict;
      },
    });
    await breaker.execute(async () => 1);
    expect([verdict, breaker.state]).toEqual([verdict, 'open']);
    const error = await breaker.execute(async () => 2).catch((reason: unknown) => reason);
    expect((error as { retryAfter: number }).retryAfter).toBeGreaterThan(3_000_000);
  }
});

test('a reset inside classify begins anew: one bad result of minCalls 10 does not open it', async () => {
  const breaker: CircuitBreaker = new CircuitBreaker({
    classify: () => {
      breaker.reset();
      return 'failure';
    },
  });
  await breaker.execute(async () => 1);
  expect(breaker.state).toBe('closed');
});

test('a hook that resets at the change to half-open: the asker is let in as a call of the closed state', async () => {
  const breaker: CircuitBreaker = new CircuitBreaker({
    minCalls: 2,
    hooks: { onStateChange: ({ to }) => void (to === 'half-open' && breaker.reset()) },
  });
  breaker.forceOpen(0);
  const permit = breaker.acquire();
  expect(breaker.state).toBe('closed');
  permit.release('failure');
  // One of two: a trial call would have opened it.
  expect([breaker.state, breaker.getMetrics().failureRate]).toEqual(['closed', 1]);
});
