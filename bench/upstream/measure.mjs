// One row in one process: node measure.mjs <row> [<build>].
import { fileURLToPath } from 'node:url';
import { load, measure, one, queued } from '../ratio/measure.mjs';

const CONCURRENCY = 10;
const task = async () => 1;

async function contestants({ Upstream }) {
  const { default: PQueue } = await import('p-queue');
  const { default: pLimit } = await import('p-limit');
  const { default: pRetry } = await import('p-retry');
  const cockatiel = await import('cockatiel');
  const pool = { concurrency: CONCURRENCY };
  const layers = { name: 'bench', timeout: 30_000, retry: {}, breaker: {}, pool };
  const through = (options, optionsOf = () => undefined) => {
    const upstream = new Upstream({ name: 'bench', ...options });
    return (i) => upstream.execute(task, optionsOf(i));
  };
  // A new name for each call, so that each of them loads.
  let call = 0;
  const anew = () => ({ key: call++ });
  const queue = new PQueue({ concurrency: CONCURRENCY });
  const queueWithTimeout = new PQueue({ concurrency: CONCURRENCY, timeout: 30_000 });
  const limit = pLimit(CONCURRENCY);
  const policy = cockatiel.wrap(
    cockatiel.retry(cockatiel.handleAll, { maxAttempts: 3, backoff: new cockatiel.ExponentialBackoff() }),
    cockatiel.circuitBreaker(cockatiel.handleAll, {
      halfOpenAfter: 30_000,
      breaker: new cockatiel.SamplingBreaker({ threshold: 0.5, duration: 10_000, minimumRps: 1 }),
    }),
    cockatiel.bulkhead(CONCURRENCY, 1e9),
    cockatiel.timeout(30_000, cockatiel.TimeoutStrategy.Aggressive),
  );
  return {
    'Upstream, a pool': through({ pool }),
    'Upstream, timeout, retry, breaker, pool': through(layers),
    'Upstream, all layers, each call loads': through({ ...layers, coalesce: { ttl: 1_000 } }, anew),
    'Upstream, all layers, each call is a hit': through({ ...layers, coalesce: { ttl: 60_000 } }, () => ({
      key: 'one',
    })),
    'p-queue alone': () => queue.add(task),
    'p-queue with its timeout': () => queueWithTimeout.add(task),
    'p-limit and p-retry': () => pRetry(() => limit(task)),
    'cockatiel: retry, breaker, bulkhead, timeout': () => policy.execute(task),
  };
}

const rows = { 'one after the other': one, 'all at once': queued };
export const names = Object.keys(rows);

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const how = rows[process.argv[2]];
  const ways = Object.fromEntries(
    Object.entries(await contestants(await load(process.argv[3]))).map(([name, execute]) => [name, how(execute)]),
  );
  await measure({ bare: how(task), ways }, { count: 10_000, rounds: 9, warmUp: 4 });
}
