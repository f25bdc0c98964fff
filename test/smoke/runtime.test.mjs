// Runs unchanged under node --test, bun test and deno test, against the packed package.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { checks } from './checks.mjs';

for (const [name, check] of Object.entries(checks)) test(name, check);

test('CommonJS gets what ES modules get, and both agree on whose errors are ours', async () => {
  const imported = await import('paceline');
  const required = createRequire(import.meta.url)('paceline');
  assert.deepEqual(Object.keys(required).sort(), Object.keys(imported).sort());

  const pool = new required.PromisePool({ concurrency: 1, maxQueue: 0 });
  const running = pool.execute(() => new Promise((resolve) => setTimeout(resolve, 5)));
  const error = await pool.execute(() => 1).catch((reason) => reason);
  assert.equal(error.code, 'QUEUE_FULL');
  assert.ok(imported.isPacelineError(error, 'QUEUE_FULL'));
  await running;
});
