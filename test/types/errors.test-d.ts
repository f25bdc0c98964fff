import { describe, expectTypeOf, test } from 'vitest';
import {
  type ClosedError,
  type ErrorByCode,
  type ErrorCode,
  isPacelineError,
  isRefusedError,
  type MissingResultError,
  type PacelineError,
  type QueueFullError,
  type RefusedError,
  type TimeoutError,
} from '../../src/index.js';

declare const error: unknown;

describe('the catalogue', () => {
  test('has each code, each under its own name', () => {
    expectTypeOf<ErrorCode>().toEqualTypeOf<keyof ErrorByCode>();
    expectTypeOf<{ [C in ErrorCode]: ErrorByCode[C]['code'] }>().toEqualTypeOf<{ [C in ErrorCode]: C }>();
    expectTypeOf<ErrorByCode[ErrorCode]>().toExtend<PacelineError>();
    expectTypeOf<TimeoutError>().not.toExtend<RefusedError>();
    expectTypeOf<TimeoutError['name']>().toEqualTypeOf<'TimeoutError'>();
  });
});

describe('isPacelineError', () => {
  test('narrows to one class by its code', () => {
    if (isPacelineError(error, 'QUEUE_FULL')) {
      expectTypeOf(error).toEqualTypeOf<QueueFullError>();
      // @ts-expect-error a field of another error
      void error.option;
    }
    // @ts-expect-error no such code
    isPacelineError(error, 'QUEUE_FUL');
  });

  test('narrows to the union of all, to switch over the code', () => {
    if (!isPacelineError(error)) return;
    expectTypeOf(error.source).toEqualTypeOf<string>();
    switch (error.code) {
      case 'TIMEOUT':
        expectTypeOf(error).toEqualTypeOf<TimeoutError>();
        break;
      case 'MISSING_RESULT':
        expectTypeOf(error).toEqualTypeOf<MissingResultError>();
        break;
      case 'CLOSED':
        expectTypeOf(error).toEqualTypeOf<ClosedError>();
        break;
      case 'QUEUE_FULL':
        expectTypeOf(error.maxQueue).toEqualTypeOf<number>();
        break;
      case 'QUEUE_TIMEOUT':
        expectTypeOf(error.timeout).toEqualTypeOf<number>();
        break;
      case 'READER_BEHIND':
        expectTypeOf(error.maxBuffer).toEqualTypeOf<number>();
        break;
      case 'CIRCUIT_OPEN':
      case 'RATE_LIMITED':
        expectTypeOf(error.retryAfter).toEqualTypeOf<number>();
        break;
      case 'GATE_REFUSED':
      case 'CLEARED':
        expectTypeOf(error.retryAfter).toEqualTypeOf<number | undefined>();
        break;
      default:
        expectTypeOf(error).toBeNever();
    }
  });
});

test('isRefusedError narrows to the refusal and its hint', () => {
  if (isRefusedError(error)) expectTypeOf(error.retryAfter).toEqualTypeOf<number | undefined>();
});
