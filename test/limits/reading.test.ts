import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CircuitBreaker } from '../../src/breaker/index.js';
import { verdictOf } from '../../src/limits/reading.js';
import { PromisePool } from '../../src/pool/index.js';

const unhandled: unknown[] = [];
const onUnhandled = (reason: unknown): void => {
  unhandled.push(reason);
};
const turn = () => new Promise((resolve) => setImmediate(resolve));

beforeEach(() => {
  unhandled.length = 0;
  process.on('unhandledRejection', onUnhandled);
});
afterEach(() => {
  process.off('unhandledRejection', onUnhandled);
  vi.restoreAllMocks();
});

const silenceConsole = () => vi.spyOn(console, 'error').mockImplementation(() => {});

/** Users that write JavaScript: what the types forbid. */
const answers = (answer: () => unknown) => answer as () => 'success';

const fulfilled = { status: 'fulfilled', value: 1 } as const;
const rejected = { status: 'rejected', reason: new Error('down') } as const;

describe('verdictOf', () => {
  test.each(['success', 'failure', 'overload', 'ignore'] as const)('takes %s as it is, and says nothing', (verdict) => {
    const reporter = silenceConsole();
    for (const result of [fulfilled, rejected]) expect(verdictOf(result, () => verdict, 'api')).toBe(verdict);
    expect(reporter).not.toHaveBeenCalled();
  });

  test.each([[undefined], [null], [0], ['fine'], [{}]])('takes %o as no verdict: the default counts', (answer) => {
    expect(
      verdictOf(
        fulfilled,
        answers(() => answer),
        'api',
      ),
    ).toBe('success');
    expect(
      verdictOf(
        rejected,
        answers(() => answer),
        'api',
      ),
    ).toBe('failure');
  });

  test.each<[string, () => unknown]>([
    ['a promise that fulfils', async () => 'failure'],
    ['a promise that rejects', () => Promise.reject(new Error('lookup'))],
    // biome-ignore lint/suspicious/noThenProperty: a thenable is the point
    ['a thenable that throws', () => ({ then: () => fault() })],
    [
      'a thenable whose then cannot be read',
      () => ({
        // biome-ignore lint/suspicious/noThenProperty: a thenable is the point
        get then() {
          return fault();
        },
      }),
    ],
  ])('takes %s as no verdict, says so, and leaves nothing unhandled', async (_what, answer) => {
    const reporter = silenceConsole();
    expect(verdictOf(fulfilled, answers(answer), 'api')).toBe('success');
    expect(reporter).toHaveBeenCalledTimes(1);
    expect(reporter.mock.calls[0]?.[0]).toMatch(/`classify` of `api`/);
    expect(verdictOf(rejected, answers(answer), 'api')).toBe('failure');
    await turn();
    expect(unhandled).toEqual([]);
  });
});

// An async function by mistake whose rejection nobody sees would end the process.
describe('a classify that rejects', () => {
  const classify = answers(async () => {
    throw new Error('lookup');
  });
  const fail = () => Promise.reject(new Error('down'));

  test('of a breaker: the default counts, and the process lives', async () => {
    const reporter = silenceConsole();
    const breaker = new CircuitBreaker({ name: 'api', minCalls: 2, classify });
    for (let i = 0; i < 2; i++) await breaker.execute(fail).catch(() => {});
    await turn();
    expect([breaker.state, unhandled]).toEqual(['open', []]);
    expect(reporter.mock.calls[0]?.[0]).toBe('[paceline] `classify` of `api` must answer at once');
  });

  test('of a pool: the default counts, and the process lives', async () => {
    const reporter = silenceConsole();
    const verdicts: unknown[] = [];
    const gate = new CircuitBreaker({ minCalls: 2 });
    const pool = new PromisePool({ name: 'calls', concurrency: 2, gates: [gate], classify });
    for (let i = 0; i < 2; i++) verdicts.push(await pool.execute(fail).catch((error: Error) => error.message));
    await turn();
    expect([verdicts, gate.state, unhandled]).toEqual([['down', 'down'], 'open', []]);
    expect(reporter.mock.calls[0]?.[0]).toBe('[paceline] `classify` of `calls` must answer at once');
  });
});

function fault(): never {
  throw new Error('then');
}
