import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { batchAllSettled } from '../../src/batch/index.js';
import { finish, wait } from './support.js';
import { barriers, endOf, LANES, slidingWindow, TIMES, total } from './uneven-calls.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

interface Times {
  start: number;
  end: number;
}

/** When each call ran. */
async function record(run: (work: (time: number, context: { index: number }) => Promise<void>) => Promise<unknown>) {
  const begin = performance.now();
  const spans: Times[] = [];
  const work = async (time: number, { index }: { index: number }) => {
    const start = performance.now() - begin;
    await wait(time);
    spans[index] = { start, end: performance.now() - begin };
  };
  await finish(run(work));
  return spans;
}

const timesOf = (spans: readonly Times[]): Times[] => spans.map(({ start, end }) => ({ start, end }));

// BATCH-02, and the picture of the guide.
test('50 calls of uneven length in 5 lanes run as the picture shows them, and so they would with a barrier', async () => {
  const window = slidingWindow(TIMES, LANES);
  const spans = await record((work) => batchAllSettled(TIMES, work, { concurrency: LANES }));
  expect(spans).toEqual(timesOf(window));

  const chunked = barriers(TIMES, LANES);
  const byHand = await record(async (work) => {
    for (let first = 0; first < TIMES.length; first += LANES) {
      const chunk = TIMES.slice(first, first + LANES);
      await Promise.allSettled(chunk.map((time, i) => work(time, { index: first + i })));
    }
  });
  expect(byHand).toEqual(timesOf(chunked));
});

test('the window needs less than half of the time, and keeps the lanes busy for 86 % of it instead of 40 %', () => {
  const work = total(TIMES);
  const window = endOf(slidingWindow(TIMES, LANES));
  const barrier = endOf(barriers(TIMES, LANES));
  expect({ work, window, barrier }).toEqual({ work: 6_207, window: 1_444, barrier: 3_110 });
  expect(work / LANES / window).toBeCloseTo(0.86, 2);
  expect(work / LANES / barrier).toBeCloseTo(0.4, 2);
});
