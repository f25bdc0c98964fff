import { inspect } from 'node:util';
import { describe, expect, test, vi } from 'vitest';
import {
  CircuitOpenError,
  ClearedError,
  ClosedError,
  type ErrorByCode,
  type ErrorCode,
  GateRefusedError,
  isPacelineError,
  isRefusedError,
  MissingResultError,
  PacelineError,
  QueueFullError,
  QueueTimeoutError,
  RateLimitedError,
  ReaderBehindError,
  RefusedError,
  TimeoutError,
} from '../../src/index.js';

/** One of each, so that a code without a class does not compile, nor a class without a row here. */
const samples: { readonly [C in ErrorCode]: () => ErrorByCode[C] } = {
  QUEUE_FULL: () => new QueueFullError({ source: 'x', maxQueue: 5 }),
  QUEUE_TIMEOUT: () => new QueueTimeoutError({ source: 'x', timeout: 50 }),
  CLOSED: () => new ClosedError({ source: 'x' }),
  CLEARED: () => new ClearedError({ source: 'x' }),
  TIMEOUT: () => new TimeoutError({ source: 'x', timeout: 50, option: 'timeout' }),
  MISSING_RESULT: () => new MissingResultError({ source: 'x', expected: 5, received: 4 }),
  READER_BEHIND: () => new ReaderBehindError({ source: 'x', maxBuffer: 5 }),
  CIRCUIT_OPEN: () => new CircuitOpenError({ source: 'x', retryAfter: 50 }),
  RATE_LIMITED: () => new RateLimitedError({ source: 'x', retryAfter: 50 }),
  GATE_REFUSED: () => new GateRefusedError('`x` has no lease', { source: 'x', retryAfter: 50 }),
};
const rows = Object.entries(samples) as [ErrorCode, () => ErrorByCode[ErrorCode]][];
const refusals: readonly ErrorCode[] = [
  'QUEUE_FULL',
  'QUEUE_TIMEOUT',
  'CLOSED',
  'CLEARED',
  'RATE_LIMITED',
  'CIRCUIT_OPEN',
  'GATE_REFUSED',
];

describe.each(rows)('%s', (code, make) => {
  test('is known by its code and by no other', () => {
    expect(make().code).toBe(code);
    expect(isPacelineError(make())).toBe(true);
    expect(rows.filter(([other]) => isPacelineError(make(), other)).map(([other]) => other)).toEqual([code]);
  });

  test('is a refusal exactly if the task never ran', () => {
    const isRefusal = refusals.includes(code);
    expect(isRefusedError(make())).toBe(isRefusal);
    expect(make() instanceof RefusedError).toBe(isRefusal);
    expect(make()).toBeInstanceOf(PacelineError);
  });

  test('is named as its class, in its stack too, and shows no more than its fields', () => {
    const error = make();
    expect(error.name).toBe(error.constructor.name);
    expect(error.stack).toMatch(new RegExp(`^${error.name}: `));
    expect(error.message).toContain('`x`');
    expect(inspect(error)).not.toContain('Symbol(');
    expect(JSON.parse(JSON.stringify(error))).toMatchObject({ code, source: 'x' });
  });

  test('is known when it comes from another copy of the package', async () => {
    vi.resetModules();
    const copy = await import('../../src/index.js');
    expect(copy.PacelineError).not.toBe(PacelineError);
    expect(make()).not.toBeInstanceOf(copy.PacelineError);
    expect(copy.isPacelineError(make(), code)).toBe(true);
    expect(copy.isRefusedError(make())).toBe(refusals.includes(code));
  });
});

test('nothing else is one of ours, and asking never throws', () => {
  const proxy = new Proxy(
    {},
    {
      get: () => {
        throw new Error('trap');
      },
    },
  );
  const alike = Object.assign(new Error('x'), { code: 'CLOSED', source: 'x' });
  for (const other of [undefined, null, 0, '', 'CLOSED', {}, { code: 'CLOSED' }, new Error('x'), alike, proxy]) {
    expect(isPacelineError(other)).toBe(false);
    expect(isPacelineError(other, 'CLOSED')).toBe(false);
    expect(isRefusedError(other)).toBe(false);
  }
});

test('a code that is not ours is a code of no error', () => {
  expect(isPacelineError(samples.CLOSED(), 'toString' as ErrorCode)).toBe(false);
});
