import { inspect } from 'node:util';
import { describe, expect, test, vi } from 'vitest';
import {
  ClosedError,
  isBranded,
  isRefusedError,
  PacelineError,
  RefusedError,
  TimeoutError,
} from '../../src/core/errors.js';

const closed = () => new ClosedError({ source: 'mail' });
const timedOut = () => new TimeoutError({ source: 'mail', timeout: 50, option: 'loadTimeout' });

describe('an error of ours', () => {
  test('is what it says, for instanceof too', () => {
    expect(closed()).toBeInstanceOf(ClosedError);
    expect(closed()).toBeInstanceOf(RefusedError);
    expect(timedOut()).toBeInstanceOf(TimeoutError);
    expect(timedOut()).not.toBeInstanceOf(RefusedError);
    for (const error of [closed(), timedOut()]) {
      expect(error).toBeInstanceOf(PacelineError);
      expect(error).toBeInstanceOf(Error);
    }
  });

  test('has a name, a code, its source and its fields', () => {
    expect([closed().name, closed().code, closed().source, closed().retryAfter]).toEqual([
      'ClosedError',
      'CLOSED',
      'mail',
      undefined,
    ]);
    expect(timedOut()).toMatchObject({ name: 'TimeoutError', code: 'TIMEOUT', timeout: 50, option: 'loadTimeout' });
    expect(closed().message).toBe('`mail` is closed');
    expect(timedOut().message).toBe('`mail` exceeded its `loadTimeout` of 50 ms');
  });

  test('has a cause exactly where one was given, undefined included', () => {
    const make = (fields: object) => new TimeoutError({ source: 'x', timeout: 1, option: 'timeout', ...fields });
    expect(make({})).not.toHaveProperty('cause');
    expect(make({ cause: undefined })).toHaveProperty('cause', undefined);
    expect(make({ cause: 0 }).cause).toBe(0);
  });

  test('is named in its stack, in logs and in templates', () => {
    for (const error of [closed(), timedOut()]) {
      expect(error.stack?.split('\n')[0]).toBe(`${error.name}: ${error.message}`);
      expect(`${error}`).toBe(`${error.name}: ${error.message}`);
      expect(inspect(error)).toContain(`${error.name}: ${error.message}`);
      expect(inspect(error)).toContain(`code: '${error.code}'`);
      expect(inspect(error)).not.toContain('Symbol(');
    }
  });

  test('keeps its fields in JSON', () => {
    expect(JSON.parse(JSON.stringify(timedOut()))).toEqual({
      code: 'TIMEOUT',
      source: 'mail',
      timeout: 50,
      option: 'loadTimeout',
    });
    expect(JSON.parse(JSON.stringify(closed()))).toEqual({ code: 'CLOSED', source: 'mail' });
  });
});

describe('the brand', () => {
  test('is known across copies of the package, where instanceof is not', async () => {
    vi.resetModules();
    const copy = await import('../../src/core/errors.js');
    const foreign = new copy.ClosedError({ source: 'other' });
    expect(foreign).not.toBeInstanceOf(ClosedError);
    expect([isBranded(foreign), isRefusedError(foreign)]).toEqual([true, true]);
    const late = new copy.TimeoutError({ source: 'other', timeout: 1, option: 'timeout' });
    expect([isBranded(late), isRefusedError(late)]).toEqual([true, false]);
    expect([copy.isBranded(closed()), copy.isRefusedError(closed())]).toEqual([true, true]);
  });

  test('is not taken from anything else, and looking never throws', () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const trap = new Proxy(
      {},
      {
        get: () => {
          throw new Error('trap');
        },
      },
    );
    const named = Object.assign(new Error('x'), { name: 'ClosedError', code: 'CLOSED', source: 'mail' });
    const others = [
      undefined,
      null,
      0,
      '',
      'CLOSED',
      Symbol('x'),
      {},
      [],
      () => {},
      new Error('x'),
      named,
      proxy,
      trap,
    ];
    for (const other of others) {
      expect([isBranded(other), isRefusedError(other)]).toEqual([false, false]);
    }
  });
});
