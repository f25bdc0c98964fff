import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ClosedError, TimeoutError } from '../../src/core/errors.js';
import { classifyError, classifyResult } from '../../src/core/verdicts.js';
import { property } from '../support/runs.js';

const error = (fields: object) => Object.assign(new Error('x'), fields);

function expected(status: number) {
  if ([408, 425, 429, 503, 529].includes(status)) return 'overload';
  return status >= 500 ? 'failure' : 'success';
}

describe('the law of reading', () => {
  property([fc.integer({ min: 100, max: 599 })])(
    'any status of HTTP, wherever it stands, has one meaning',
    (status) => {
      const verdict = expected(status);
      expect(classifyError(error({ status }))).toBe(verdict);
      expect(classifyError(error({ statusCode: status }))).toBe(verdict);
      expect(classifyError(error({ response: { status } }))).toBe(verdict);
      expect(classifyError({ status })).toBe(verdict);
    },
  );

  property([fc.anything({ withBigInt: true, withNullPrototype: true })])('takes anything and never throws', (thing) => {
    expect(['success', 'failure', 'overload', 'ignore']).toContain(classifyError(thing));
    expect(['success', 'failure', 'overload']).toContain(classifyResult({ status: 'fulfilled', value: thing }));
  });
});

describe('an error', () => {
  it.each([
    ['that says nothing', new Error('x')],
    ['of the network', error({ code: 'ECONNRESET' })],
    ['of fetch', new TypeError('fetch failed', { cause: error({ code: 'ECONNREFUSED' }) })],
    ['that is a string', 'x'],
    ['that is undefined', undefined],
    ['with a status that is none', error({ status: 'failed' })],
    ['with a status out of range', error({ status: 1_006 })],
  ])('%s is a failure', (_name, thing) => {
    expect(classifyError(thing)).toBe('failure');
  });

  it.each([
    ['of ours', new TimeoutError({ source: 'pool', timeout: 5, option: 'timeout' })],
    ['of the platform', new DOMException('x', 'TimeoutError')],
    ['of a socket', error({ code: 'ETIMEDOUT' })],
    ['of axios', error({ name: 'AxiosError', code: 'ECONNABORTED' })],
    ['of openai', error({ name: 'APIConnectionTimeoutError' })],
    ['behind fetch', new TypeError('fetch failed', { cause: error({ code: 'UND_ERR_CONNECT_TIMEOUT' }) })],
  ])('that is a timeout, %s, is an overload', (_name, thing) => {
    expect(classifyError(thing)).toBe('overload');
  });

  it.each([
    ['an abort', new DOMException('x', 'AbortError')],
    ['an abort of node', error({ name: 'AbortError', code: 'ABORT_ERR' })],
    ['an abort of axios', error({ code: 'ERR_CANCELED' })],
    ['an abort of openai', error({ name: 'APIUserAbortError' })],
    ['an abort with a status', error({ name: 'AbortError', status: 500 })],
    ['our refusal', new ClosedError({ source: 'pool' })],
  ])('that is %s is ignored', (_name, thing) => {
    expect(classifyError(thing)).toBe('ignore');
  });

  it('the status counts before the name', () => {
    expect(classifyError(error({ name: 'TimeoutError', status: 400 }))).toBe('success');
  });

  it('with getters that throw is a failure', () => {
    const bomb = () => {
      throw new Error('bomb');
    };
    expect(classifyError(new Proxy({}, { get: bomb }))).toBe('failure');
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(classifyError(proxy)).toBe('failure');
  });
});

describe('a result', () => {
  it('that was rejected is read as its error', () => {
    expect(classifyResult({ status: 'rejected', reason: error({ status: 429 }) })).toBe('overload');
  });

  it.each([
    [200, 'success'],
    [404, 'success'],
    [429, 'overload'],
    [500, 'failure'],
  ] as const)('that is a Response is read by its status: %i is %s', (status, verdict) => {
    expect(classifyResult({ status: 'fulfilled', value: new Response(null, { status }) })).toBe(verdict);
  });

  it('that only has a `status` of its own is a success', () => {
    expect(classifyResult({ status: 'fulfilled', value: { status: 500 } })).toBe('success');
    expect(classifyResult({ status: 'fulfilled', value: undefined })).toBe('success');
  });
});
