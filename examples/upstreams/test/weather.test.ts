import { expect, test } from 'vitest';
import { checkWeather, delayOf, Sky, type Weather } from '../src/weather.js';

const ROUTE = 'POST /v1/embeddings';
const questions = Array.from({ length: 400 }, (_, i) => `question number ${i} is about the ${i * 37}th thing`);

function fates(weather: Weather, asked: readonly string[] = questions) {
  const sky = new Sky(weather);
  return new Map(asked.map((content) => [content, sky.fateOf(ROUTE, content)]));
}

test('the same requests meet the same weather in whatever order, and another with another seed', () => {
  const weather = {
    seed: 7,
    latency: { median: 100 },
    faults: { rate: 0.2, kinds: ['broken', 'hang', 'cut'] },
  } as const;
  const forwards = fates(weather);
  const backwards = fates(weather, questions.toReversed());
  for (const content of questions) expect(backwards.get(content)).toEqual(forwards.get(content));
  expect([...fates({ ...weather, seed: 8 }).values()]).not.toEqual([...forwards.values()]);
});

test('faults come at their rate, of every kind, and a repeat has a new chance', () => {
  const faults = { rate: 0.25, kinds: ['rate-limited', 'unavailable'] } as const;
  const sky = new Sky({ faults });
  const first = questions.filter((content) => sky.fateOf(ROUTE, content).fault !== undefined);
  expect(first.length).toBeGreaterThan(70);
  expect(first.length).toBeLessThan(130);
  const again = first.map((content) => sky.fateOf(ROUTE, content).fault);
  expect(new Set(again)).toEqual(new Set([undefined, 'rate-limited', 'unavailable']));
  expect(again.filter((fault) => fault === undefined).length).toBeGreaterThan(first.length / 2);
});

test('a reset brings the same faults again', () => {
  const sky = new Sky({ faults: { rate: 0.3 } });
  const run = () => questions.map((content) => sky.fateOf(ROUTE, content));
  const first = run();
  expect(run()).not.toEqual(first);
  sky.reset();
  expect(run()).toEqual(first);
});

test('counted faults fall on every nth request of a route, the kinds in turn', () => {
  const sky = new Sky({ faults: { every: 10 } });
  const met = questions.slice(0, 40).map((content, i) => {
    sky.fateOf('GET /v1/models', content);
    return [i + 1, sky.fateOf(ROUTE, content).fault];
  });
  expect(met.filter(([, fault]) => fault)).toEqual([
    [10, 'rate-limited'],
    [20, 'broken'],
    [30, 'rate-limited'],
    [40, 'broken'],
  ]);
});

test('delays lie around the median with a tail to the right, up to the p99', () => {
  const delays = questions.map((content) => delayOf({ median: 450, p99: 900 }, content, 1)).sort((a, b) => a - b);
  const at = (share: number) => delays[Math.round(share * (delays.length - 1))] ?? 0;
  expect(at(0.5)).toBeGreaterThan(420);
  expect(at(0.5)).toBeLessThan(480);
  expect(at(0.99)).toBeGreaterThan(750);
  expect(at(0.99)).toBeLessThan(1050);
  expect(at(0.95) - at(0.5)).toBeGreaterThan(at(0.5) - at(0.05));
  expect(delayOf(450, 'anything', 1)).toBe(450);
});

test('a route may have weather of its own, and a refusal comes at once', () => {
  const sky = new Sky({ latency: 100, routes: { [ROUTE]: { latency: 500, faults: { every: 2 } } } });
  expect(sky.fateOf('GET /v1/models', 'x')).toMatchObject({ delay: 100, fault: undefined });
  expect(sky.fateOf(ROUTE, 'x')).toMatchObject({ delay: 500, fault: undefined });
  expect(sky.fateOf(ROUTE, 'x')).toMatchObject({ delay: 30, fault: 'rate-limited' });
});

test('a name that there is not is told', () => {
  expect(() => checkWeather({ routes: { embeddings: {} } }, [ROUTE])).toThrow(
    `No route \`embeddings\`; there are: ${ROUTE}`,
  );
  expect(() => checkWeather({ outage: 'rain' as never }, [])).toThrow(
    'No fault `rain`; there are: rate-limited, broken,',
  );
});
