import { APIError } from 'openai';
import { isPacelineError, isRefusedError, retryAfter } from 'paceline';
import { Problem } from './request.js';

/** What a failure of the model means to the person who asked: a status and one line. Undefined: it is a bug of ours. */
export function problemOf(error: unknown): Problem | undefined {
  if (error instanceof Problem) return error;
  if (isPacelineError(error, 'CIRCUIT_OPEN')) return wait('The assistant is out of order', error.retryAfter);
  if (isRefusedError(error)) return wait('Too many people are asking at the moment', error.retryAfter);
  if (isPacelineError(error, 'TIMEOUT')) return new Problem(504, 'The assistant took too long. Please try again.');
  if (isPacelineError(error, 'READER_BEHIND')) return new Problem(503, 'The answer came too fast for this connection.');
  const after = retryAfter(error);
  if (after !== undefined) return wait('Too many people are asking at the moment', after);
  if (error instanceof APIError) return new Problem(502, 'The assistant cannot be reached. Please try again.');
  return undefined;
}

export function problemResponse({ status, message, headers }: Problem): Response {
  return Response.json({ error: message }, { status, headers });
}

function wait(what: string, ms = 1_000): Problem {
  const seconds = Math.max(1, Math.ceil(ms / 1_000));
  const when = seconds === 1 ? 'a second' : `${seconds} seconds`;
  return new Problem(503, `${what}. Please try again in ${when}.`, { 'retry-after': String(seconds) });
}
