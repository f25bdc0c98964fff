import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { PRIMITIVES } from './primitives.js';

/*
 * MET-01 (opossum: a `failure` listener that throws, and fire() never settles; a `success` listener that throws, and the call
 * rejects), MET-02 (cockatiel, async-retry): observers decide about outcomes. Ours are contained, whoever they listen to.
 */

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const fault = new Error('hook');
const ways: readonly (readonly [string, () => unknown])[] = [
  [
    'throws',
    () => {
      throw fault;
    },
  ],
  [
    'throws undefined',
    () => {
      throw undefined;
    },
  ],
  ['rejects', () => Promise.reject(fault)],
  ['rejects with undefined', () => Promise.reject(undefined)],
  [
    'answers with a thenable that throws',
    () => ({
      // biome-ignore lint/suspicious/noThenProperty: a thenable is the point
      then() {
        throw fault;
      },
    }),
  ],
];

describe.each(PRIMITIVES)('a hook of a $kind', ({ kind, hooks: names, live }) => {
  test('is told of something, each of them, in the life that these tests give it', async () => {
    const told = new Set<string>();
    await live(Object.fromEntries(names.map((name) => [name, () => told.add(name)])));
    expect([...told].sort()).toEqual([...names].sort());
  });

  test.each(ways)('that %s changes nothing, and is reported once', async (_how, hook) => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    const reporter = vi.spyOn(console, 'error').mockImplementation(() => {});
    const plain = await live(undefined);
    expect(reporter).not.toHaveBeenCalled();
    // One by one, then all together: each is a function of its own.
    for (const broken of [...names.map((name) => [name]), names]) {
      reporter.mockClear();
      expect(await live(Object.fromEntries(broken.map((name) => [name, () => hook()])))).toEqual(plain);
      const reports = reporter.mock.calls.map(([message]) => message as string);
      // A retry has observers for each call: four calls, four reports.
      const most = kind === 'retry' ? 4 * broken.length : broken.length;
      expect(reports.length).toBeGreaterThanOrEqual(broken.length);
      expect(reports.length).toBeLessThanOrEqual(most);
      for (const message of reports) expect(message).toMatch(/^\[paceline\] A hook of `(\w|retry)` failed/);
    }
    vi.useRealTimers();
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
  });
});
