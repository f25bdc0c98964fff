import { readFileSync } from 'node:fs';
import { PromisePool, RequestCoalescer } from 'paceline';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { PredictiveCache } from './predictive-caching.js';

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
const guide = read('../../docs/guide/predictive-caching.md');

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Loads take 100 ms and are kept for a minute. */
function make({ concurrency = 4, ttl = 60_000 } = {}) {
  const pool = new PromisePool({ concurrency });
  const cache = new RequestCoalescer<string, string>({ ttl });
  const control = new AbortController();
  const loaded: string[] = [];
  const load = async (key: string): Promise<string> => {
    loaded.push(key);
    await new Promise((resolve) => setTimeout(resolve, 100));
    return `value of ${key}`;
  };
  const reader = new PredictiveCache(cache, pool, load, control.signal);
  /** One visitor, a second for each page. */
  const visit = async (...pages: string[]): Promise<void> => {
    for (const [i, page] of pages.entries()) {
      void reader.get(page, pages[i - 1]);
      await vi.advanceTimersByTimeAsync(1_000);
    }
  };
  const told = () => loaded.splice(0);
  return { pool, cache, control, reader, visit, told };
}

test('the guide shows this very code', () => {
  expect(guide).toContain(read('predictive-caching.ts'));
});

test('what usually came next is there before it is asked for, the likeliest first', async () => {
  const { cache, visit, told } = make();
  await visit('home', 'news', 'home', 'shop', 'home', 'shop', 'home', 'jobs');
  cache.clear();
  told();
  await visit('home');
  expect(told()).toEqual(['home', 'shop', 'news']);
  expect(cache.peek('shop')?.value).toBe('value of shop');
  expect(cache.getMetrics().prefetches).toBe(2);
});

test('what is fresh or on its way is not loaded again', async () => {
  const { cache, reader, visit, told } = make();
  await visit('home', 'shop');
  cache.forget('home');
  told();
  await visit('home');
  expect(told()).toEqual(['home']);
  cache.clear();
  void reader.get('shop');
  await visit('home');
  expect(told()).toEqual(['shop', 'home']);
});

test('counts follow the visitors, and memory is bounded', async () => {
  const { reader, visit, told, cache } = make({ ttl: 500 });
  // Eight pages fill the place of 'home'. Newcomers inherit the count of whoever makes room, so they are not the next to go.
  for (let i = 0; i < 24; i++) await visit('home', `page ${i % 8}`);
  await visit('home', 'shop', 'home', 'jobs');
  cache.clear();
  told();
  await visit('home');
  expect(told().sort()).toEqual(['home', 'jobs', 'shop']);
  // A thousand pages: 'home' is forgotten.
  for (let i = 0; i <= 1_000; i++) {
    void reader.get('x', `visitor ${i}`);
    await vi.advanceTimersByTimeAsync(0);
  }
  await vi.advanceTimersByTimeAsync(10_000);
  told();
  await visit('home');
  expect(told()).toEqual(['home']);
});

test('nothing is warmed while anything else runs or waits, and one at a time', async () => {
  const { pool, visit, told } = make({ concurrency: 2 });
  await visit('home', 'a', 'home', 'b');
  await vi.advanceTimersByTimeAsync(60_000);
  told();
  const work = pool.map([1, 2, 3], () => new Promise((resolve) => setTimeout(resolve, 2_000)), { concurrency: 1 });
  await visit('home');
  await vi.advanceTimersByTimeAsync(4_000);
  expect(told()).toEqual(['home']);
  await vi.advanceTimersByTimeAsync(1_050);
  await work;
  expect([told(), pool.running]).toEqual([['a'], 1]);
  await vi.advanceTimersByTimeAsync(100);
  expect([told(), pool.running]).toEqual([['b'], 1]);
});

test('whoever comes in the turn in which the pool is idle has it for himself', async () => {
  const { pool, visit, told } = make({ concurrency: 2 });
  await visit('home', 'shop');
  await vi.advanceTimersByTimeAsync(60_000);
  told();
  const work = () => new Promise((resolve) => setTimeout(resolve, 2_000));
  const first = pool.execute(work);
  let second: Promise<unknown> | undefined;
  void pool.onIdle().then(() => {
    second = pool.execute(work);
  });
  await visit('home');
  await vi.advanceTimersByTimeAsync(2_000);
  await first;
  expect([told(), pool.running]).toEqual([['home'], 1]);
  await vi.advanceTimersByTimeAsync(1_000);
  await second;
  expect(told()).toEqual(['shop']);
});

test('a real call overtakes what waits to be warmed', async () => {
  const { pool, reader, visit, told } = make({ concurrency: 1 });
  await visit('home', 'shop');
  await vi.advanceTimersByTimeAsync(60_000);
  void reader.get('home');
  await vi.advanceTimersByTimeAsync(99);
  told();
  // So that it has to wait: what else is idle starts at once.
  pool.pause();
  await vi.advanceTimersByTimeAsync(1);
  expect([told(), pool.queued]).toEqual([[], 1]);
  for (const page of ['x', 'y']) void reader.get(page);
  pool.resume();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(told()).toEqual(['x', 'y', 'shop']);
});

test.each(['abort', 'close the cache', 'close the pool'])('%s ends it', async (how) => {
  const { pool, cache, control, reader, visit, told } = make();
  await visit('home', 'a', 'home', 'b');
  await vi.advanceTimersByTimeAsync(60_000);
  told();
  const last = reader.get('home');
  await vi.advanceTimersByTimeAsync(150);
  expect(told()).toEqual(['home', 'a']);
  if (how === 'abort') control.abort();
  else if (how === 'close the cache') await cache.close({ grace: 0, abortGrace: 0 });
  else void pool.close();
  await vi.advanceTimersByTimeAsync(10_000);
  expect([await last, told()]).toEqual(['value of home', []]);
  expect([pool.running, pool.queued, vi.getTimerCount()]).toEqual([0, 0, how === 'close the cache' ? 0 : 1]);
});

/** A day of a shop: 500 visitors, each 6 pages, from a list that was written down once. Four of five follow the crowd. */
function recorded(): string[][] {
  let seed = 7;
  const random = (): number => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  return Array.from({ length: 500 }, () => {
    let page = Math.floor(random() * 20);
    return Array.from({ length: 6 }, () => {
      const seen = `page ${page}`;
      page = random() < 0.8 ? (page * 7 + 3) % 100 : Math.floor(random() * 100);
      return seen;
    });
  });
}

test('the hit rate rises, as the guide says', async () => {
  const rates: string[] = [];
  for (const signal of [AbortSignal.abort(), new AbortController().signal]) {
    const { pool, cache } = make({ ttl: 20_000 });
    const load = async (key: string) => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      return key;
    };
    const reader = new PredictiveCache(cache, pool, load, signal);
    for (const pages of recorded()) {
      for (const [i, page] of pages.entries()) {
        void reader.get(page, pages[i - 1]);
        await vi.advanceTimersByTimeAsync(1_000);
      }
    }
    const { hitRate, loads, prefetches } = cache.getMetrics();
    rates.push(`${Math.round(hitRate * 100)} % | ${loads} | ${loads + prefetches}`);
  }
  const [without, warmed] = rates;
  expect(guide).toContain(`| no warming | ${without} |\n| with it | ${warmed} |`);
});
