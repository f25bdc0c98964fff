// Compiles on any platform: it names nothing that only some of them have.
import {
  BackgroundTasks,
  type BatchReport,
  batchAllSettled,
  CircuitBreaker,
  chunkAllSettled,
  fireAndForget,
  gatherAllSettled,
  isPacelineError,
  PromisePool,
  RequestCoalescer,
  RetryPolicy,
  retryWithBackoff,
  type SignalOptions,
  StreamCoalescer,
  streamSettled,
  Upstream,
} from 'paceline';
import { type GateLaw, gateLaws } from 'paceline/testing';

const pool = new PromisePool({ concurrency: 2 });
const users = new RequestCoalescer<{ id: string }, string>({ ttl: 1_000 });
const background = new BackgroundTasks();
const streams = new StreamCoalescer<string, string>({ ttl: 1_000 });
const upstream = new Upstream({
  name: 'u',
  coalesce: { ttl: 1_000 },
  retry: new RetryPolicy({ name: 'u' }),
  breaker: new CircuitBreaker(),
  pool,
});

export async function main(options?: SignalOptions): Promise<void> {
  const length: number = await pool.execute(({ signal }) => lengthOf('a', { signal }), options);
  // An app with `exactOptionalPropertyTypes` passes on what its own caller may not have given.
  const user: { id: string } = await users.execute('1', () => ({ id: '1' }), { signal: options?.signal });

  const report: BatchReport<number, string> = await batchAllSettled([1, 2], (n) => String(n), { pool });
  const chunks: BatchReport<string, number> = await chunkAllSettled(
    ['a'],
    (chunk) => chunk.map((text) => text.length),
    {
      size: 20,
    },
  );
  const { values } = await gatherAllSettled({ length: () => length, user: () => user });
  const sum: number = (values.length ?? 0) + report.values.length + chunks.values.length;

  const attempt: number = await retryWithBackoff(({ attempt }) => attempt + sum);
  fireAndForget(() => attempt).cancel();
  await background.run(() => undefined).done;

  const next: number[] = await pool.map([1, 2], (n) => n + 1);
  next.pop();
  {
    await using own = new PromisePool({ concurrency: 1 });
    await own.execute(() => sum);
  }
  async function* tokens(): AsyncGenerator<string> {
    yield 'a';
  }
  for await (const token of streams.stream('k', tokens, { signal: options?.signal })) token.toUpperCase();
  for await (const token of upstream.stream(() => tokens(), { key: 'k' })) token.toUpperCase();
  for await (const result of streamSettled([1], (n) => n)) if (result.status === 'fulfilled') result.value.toFixed();
  const answer: number = await upstream.execute(({ attempt }) => attempt, { key: ['k', 1], signal: options?.signal });
  next.push(answer);
  await pool.close();
}

async function lengthOf(text: string, _options: SignalOptions): Promise<number> {
  return text.length;
}

export function refusalOf(error: unknown): number {
  return isPacelineError(error, 'QUEUE_FULL') ? error.maxQueue : 0;
}

// The pool of one door is a gate at the other.
export const laws: readonly GateLaw[] = gateLaws(() => ({ gate: new PromisePool({ concurrency: 2 }), capacity: 2 }));
