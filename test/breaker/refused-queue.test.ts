import { expect, test } from 'vitest';
import { CircuitBreaker } from '../../src/breaker/index.js';
import { PromisePool } from '../../src/pool/index.js';
import { retryWithBackoff } from '../../src/retry/index.js';

const hang = (): Promise<never> => new Promise(() => {});
const layers = async <T>(fn: () => Promise<T>, n: number): Promise<T> => (n > 0 ? await layers(fn, n - 1) : await fn());

test('each task that is refused in the queue is counted, and told to onRefuse', async () => {
  let told = 0;
  const breaker = new CircuitBreaker({ consecutiveFailures: 1, hooks: { onRefuse: () => void told++ } });
  const pool = new PromisePool({ concurrency: 1, timeout: 10, gates: [breaker] });
  const all = Array.from({ length: 6 }, () => pool.execute(hang).catch((error: unknown) => error));
  await Promise.all(all);
  expect(pool.getMetrics().refused).toBe(5);
  expect([breaker.getMetrics().refused, breaker.getMetrics().calls, told]).toEqual([5, 6, 5]);
});

test('a caller whose rules repeat refusals is not ended by one beside it whose rules do not', async () => {
  const breaker = new CircuitBreaker({ consecutiveFailures: 1, openFor: 15 });
  const pool = new PromisePool({ concurrency: 1, timeout: 10, abortGrace: 1, gates: [breaker] });
  pool.execute(hang).catch(() => {});
  const plain = retryWithBackoff(() => pool.execute(async () => 'plain')).catch(() => 'refused');
  const patient = retryWithBackoff(() => layers(() => pool.execute(async () => 'served'), 3), {
    shouldRetry: () => true,
  });
  expect(await plain).toBe('refused');
  expect(await patient).toBe('served');
});
