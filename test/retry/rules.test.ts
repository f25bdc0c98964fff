import { describe, expect, it } from 'vitest';
import { checkRules, type RetryRules } from '../../src/retry/rules.js';

const bad = (rules: object) => () => checkRules(rules as RetryRules);

it('has defaults', () => {
  const rules = {
    maxAttempts: 3,
    backoff: { baseDelay: 100, maxDelay: 20_000, factor: 2, jitter: 'full' },
    shouldRetry: undefined,
    budget: undefined,
  };
  expect(checkRules(undefined)).toEqual(rules);
  expect(checkRules({})).toEqual(rules);
  expect(
    checkRules({ maxAttempts: undefined, baseDelay: undefined, jitter: undefined, shouldRetry: undefined }),
  ).toEqual(rules);
});

it('takes the limits of each range', () => {
  const shouldRetry = () => true;
  expect(
    checkRules({
      maxAttempts: Number.POSITIVE_INFINITY,
      baseDelay: 0,
      maxDelay: Number.POSITIVE_INFINITY,
      factor: 1,
      jitter: 'none',
      shouldRetry,
    }),
  ).toEqual({
    maxAttempts: Number.POSITIVE_INFINITY,
    backoff: { baseDelay: 0, maxDelay: Number.POSITIVE_INFINITY, factor: 1, jitter: 'none' },
    shouldRetry,
    budget: undefined,
  });
});

describe('says what is wrong', () => {
  it.each([
    [{ maxAttempts: Number.NaN }, 'Expected `maxAttempts` to be an integer >= 1 or Infinity, got `NaN`'],
    [{ maxAttempts: 0 }, 'Expected `maxAttempts` to be an integer >= 1 or Infinity, got `0`'],
    [{ maxAttempts: 1.5 }, 'Expected `maxAttempts` to be an integer >= 1 or Infinity, got `1.5`'],
    [{ baseDelay: -1 }, 'Expected `baseDelay` to be a number >= 0, got `-1`'],
    [{ baseDelay: Number.POSITIVE_INFINITY }, 'Expected `baseDelay` to be a number >= 0, got `Infinity`'],
    [{ maxDelay: Number.NaN }, 'Expected `maxDelay` to be a number >= 0 or Infinity, got `NaN`'],
    [{ factor: 0.5 }, 'Expected `factor` to be a number >= 1, got `0.5`'],
    [{ factor: Number.POSITIVE_INFINITY }, 'Expected `factor` to be a number >= 1, got `Infinity`'],
    [{ jitter: 'some' }, "Expected `jitter` to be one of 'full', 'equal', 'none', got `'some'`"],
  ])('%o', (rules, message) => {
    expect(bad(rules)).toThrow(new RangeError(message));
  });

  it.each([
    [{ maxAttempts: '3' }, "Expected `maxAttempts` to be an integer >= 1 or Infinity, got `'3'`"],
    [{ baseDelay: null }, 'Expected `baseDelay` to be a number >= 0, got `null`'],
    [{ jitter: true }, "Expected `jitter` to be one of 'full', 'equal', 'none', got `true`"],
    [{ shouldRetry: true }, 'Expected `shouldRetry` to be a function, got `true`'],
  ])('%o', (rules, message) => {
    expect(bad(rules)).toThrow(new TypeError(message));
  });

  it('names the option that held the rules', () => {
    expect(() => checkRules(3 as RetryRules)).toThrow(new TypeError('Expected `retry` to be an object, got `3`'));
    expect(() => checkRules(null as unknown as RetryRules, 'options')).toThrow(
      new TypeError('Expected `options` to be an object, got `null`'),
    );
  });
});
