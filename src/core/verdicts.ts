import { isBranded, isRefusedError } from './errors.js';
import { read } from './read.js';
import type { Settled, Verdict } from './types.js';

function asStatus(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 100 && value <= 599 ? value : undefined;
}

function statusOf(error: unknown): number | undefined {
  return (
    asStatus(read(error, 'status')) ??
    asStatus(read(error, 'statusCode')) ??
    asStatus(read(read(error, 'response'), 'status'))
  );
}

const OVERLOADED = new Set([408, 425, 429, 503, 529]);

function verdictOfStatus(status: number): Verdict {
  if (OVERLOADED.has(status)) return 'overload';
  return status >= 500 ? 'failure' : 'success';
}

/** Names under which an abort and a timeout go in the platform and in the SDKs people use. */
const ABORTS = new Set(['AbortError', 'APIUserAbortError', 'CanceledError', 'ResponseAborted']);
const TIMEOUTS = new Set([
  'TimeoutError',
  'APIConnectionTimeoutError',
  'HeadersTimeoutError',
  'BodyTimeoutError',
  'ConnectTimeoutError',
]);
const TIMEOUT_CODES = new Set([
  'ETIMEDOUT',
  'ESOCKETTIMEDOUT',
  'ECONNABORTED', // what axios calls its own timeout
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_CONNECT_TIMEOUT',
]);
const ABORT_CODES = new Set(['ABORT_ERR', 'ERR_CANCELED', 'UND_ERR_ABORTED']);

/**
 * The default reading of an error, shared by pools, breakers and retries: reads `status`, `statusCode`, `response.status` and
 * the error's name and code. Network errors and unknown errors are `failure`; 408, 425, 429, 503, 529 and timeouts
 * `overload`; other 4xx `success`; aborts and refusals `ignore`. Never throws.
 */
export function classifyError(error: unknown): Verdict {
  if (isRefusedError(error)) return 'ignore';
  if (isBranded(error)) return error.code === 'TIMEOUT' ? 'overload' : 'failure';
  const name = read(error, 'name');
  const code = read(error, 'code');
  if (ABORTS.has(name as string) || ABORT_CODES.has(code as string)) return 'ignore';
  const status = statusOf(error);
  if (status !== undefined) return verdictOfStatus(status);
  if (TIMEOUTS.has(name as string) || TIMEOUT_CODES.has(code as string)) return 'overload';
  // `fetch` hides what happened behind a TypeError: "fetch failed", with the reason as its cause.
  const cause = read(error, 'cause');
  if (TIMEOUTS.has(read(cause, 'name') as string) || TIMEOUT_CODES.has(read(cause, 'code') as string))
    return 'overload';
  return 'failure';
}

/**
 * The default of every `classify` option: `classifyError` for rejections; a fulfilled value that looks like a `Response` is
 * read by its `status`, so a `fetch` that resolves with 429 is an overload; any other value is a success.
 */
export function classifyResult(result: Settled<unknown>): Verdict {
  if (result.status === 'rejected') return classifyError(result.reason);
  const { value } = result;
  // A plain record with a `status` of its own, say an order's, is no answer of HTTP.
  const looksLikeResponse =
    typeof read(value, 'ok') === 'boolean' && typeof read(read(value, 'headers'), 'get') === 'function';
  const status = looksLikeResponse ? asStatus(read(value, 'status')) : undefined;
  return status === undefined ? 'success' : verdictOfStatus(status);
}
