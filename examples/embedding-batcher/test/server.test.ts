import { expect, test } from 'vitest';
import { trigramVector } from '../src/server/trigrams.js';
import { delayOf, faultOf } from '../src/server/weather.js';
import { sentence } from './support/texts.js';

const weather = { seed: 1, delay: 450, failEvery: 10 };

test('a delay depends on the texts and the seed only', () => {
  const chunk = [sentence(1), sentence(2)];
  expect(delayOf(chunk, weather)).toBe(delayOf([...chunk], weather));
  expect(delayOf(chunk, weather)).not.toBe(delayOf(chunk, { ...weather, seed: 2 }));
});

test('delays lie around the median with a tail to the right', () => {
  const delays = Array.from({ length: 1001 }, (_, i) => delayOf([sentence(i)], weather)).sort((a, b) => a - b);
  const at = (share: number) => delays[Math.round(share * 1000)] ?? 0;
  expect(at(0.5)).toBeGreaterThan(430);
  expect(at(0.5)).toBeLessThan(470);
  expect(at(0.05)).toBeGreaterThan(270);
  expect(at(0.95)).toBeLessThan(730);
  expect(at(0.95) - at(0.5)).toBeGreaterThan(at(0.5) - at(0.05));
});

test('every tenth call fails, in turn with 429 and with 500', () => {
  const faults = Array.from({ length: 40 }, (_, i) => [i + 1, faultOf(i + 1, weather)]).filter(([, fault]) => fault);
  expect(faults).toEqual([
    [10, 'rate-limited'],
    [20, 'broken'],
    [30, 'rate-limited'],
    [40, 'broken'],
  ]);
  expect(faultOf(10, { ...weather, failEvery: 0 })).toBeUndefined();
});

test('trigram vectors have length one, and likeness of letters shows', () => {
  const dot = (a: string, b: string) => {
    const y = trigramVector(b);
    return trigramVector(a).reduce((sum, x, i) => sum + x * (y[i] ?? 0), 0);
  };
  expect(dot('rate limits', 'rate limits')).toBeCloseTo(1);
  expect(dot('rate limits', 'a rate limit')).toBeGreaterThan(0.5);
  expect(dot('rate limits', 'pgvector')).toBeLessThan(0.2);
});
