import { type BatchReport, PromisePool, type Upstream } from 'paceline';
import { EMBEDDING_MODEL, startUpstream, type UpstreamServer } from 'upstreams';
import { connect, type EmbeddingApi, explain } from './api.js';
import { type EmbedOptions, embedAll, embeddingUpstream, embedOneByOne, embedTexts } from './embed.js';
import { messageOf, UserError } from './errors.js';
import type { Options } from './options.js';
import { type Passage, readPassages } from './passages.js';
import { withProgress } from './progress.js';
import { answer, comparison, count, poolFigures, type Run, seconds } from './report.js';
import { Store } from './store.js';

interface Job {
  readonly options: Options;
  readonly passages: readonly Passage[];
  readonly api: EmbeddingApi;
  /** The server, where it is ours. */
  readonly local: UpstreamServer | undefined;
  readonly stop: AbortController;
}

/** Reads, embeds, stores and answers. @throws {UserError} what went wrong, in one line. */
export async function run(options: Options, stop: AbortController): Promise<void> {
  const { passages, files, found } = await readPassages(options.sources, options.limit);
  const local = options.service === undefined ? await startServer(options, stop) : undefined;
  const service = options.service ?? { baseURL: `${local?.url}/v1`, apiKey: 'local', model: EMBEDDING_MODEL };
  const store = new Store();
  // A query cannot be aborted, its thread can.
  stop.signal.addEventListener('abort', () => void store.close(), { once: true });
  try {
    const of = passages.length < found ? ` of ${found} (--limit ${options.limit})` : '';
    console.log(`${count(passages.length, 'passage')}${of} from ${count(files, 'file')}`);
    console.log(
      local === undefined ? `API ${service.baseURL}, model ${service.model}` : weatherOf(service.baseURL, options),
    );
    await indexAndAnswer({ options, passages, api: connect(service), local, stop }, store);
  } catch (error) {
    // Whatever fails after an abort fails because of it.
    throw explain(stop.signal.aborted ? stop.signal.reason : error, service);
  } finally {
    await Promise.all([local?.stop(), store.close()]);
  }
}

async function indexAndAnswer(job: Job, store: Store): Promise<void> {
  const { options, passages, api, local, stop } = job;
  // First, because it is cheap: it finds a wrong key or a dead server before anything else is paid for, and tells the dimension.
  const [asked] = await embedTexts(api, embeddingUpstream(1), [options.question], { signal: stop.signal });
  if (asked === undefined) throw new UserError(`The embedding API at ${api.baseURL} answered without a vector.`);
  await Promise.all([store.create(asked.length), local === undefined ? undefined : warmUp(job, local)]);

  const sequential = options.compare ? await sequentialRun(job) : undefined;
  await local?.reset();
  // Each run has an upstream of its own, so that its figures are its own. An app has one for all its calls.
  const upstream = embeddingUpstream(options.concurrency);
  const report = await withProgress(`${options.concurrency} in flight`, passages.length, (onProgress) =>
    embedAndStore(api, passages, store, { upstream, size: options.size, stop, onProgress }),
  );
  const hits = await store.nearest(asked, options.top);

  const parallel = runOf(`${options.concurrency} in flight`, report.stats.durationMs, upstream);
  console.log(`\n${comparison(sequential === undefined ? [parallel] : [sequential, parallel])}`);
  console.log(`\n${poolFigures(parallel.pool)}`);
  console.log(
    `\nStored ${count(report.values.length, 'passage')} with ${count(asked.length, 'dimension')} each.\n\n${answer(options.question, hits)}`,
  );
  if (report.errors.length > 0) throw notEmbedded(report, api);
}

/** Stores what got a vector, in input order; the report says what did not, and why. @throws if nothing did. */
export async function embedAndStore(
  api: EmbeddingApi,
  passages: readonly Passage[],
  store: Store,
  options: EmbedOptions,
): Promise<BatchReport<Passage, number[]>> {
  const report = await embedAll(api, passages, options);
  options.stop.signal.throwIfAborted();
  if (report.values.length === 0) throw report.errors[0]?.reason;
  await store.save(
    report.results.flatMap((result) =>
      result.status === 'fulfilled' ? [{ ...result.item, vector: result.value }] : [],
    ),
  );
  return report;
}

/**
 * The local model needs some 30 ms of CPU for a passage, a hosted one does not need ours. So its vectors are made before the clock runs,
 * for both runs alike, and what is measured is waiting: the seeded delays, the faults and the retries.
 */
async function warmUp({ options, passages, stop }: Job, local: UpstreamServer): Promise<void> {
  const started = performance.now();
  const texts = passages.map(({ text }) => text);
  const chunks = Array.from({ length: Math.ceil(texts.length / options.size) }, (_, i) =>
    texts.slice(i * options.size, (i + 1) * options.size),
  );
  const pool = new PromisePool({ name: 'warm-up', concurrency: 2 });
  await withProgress('model warm-up', texts.length, async (onProgress) => {
    let done = 0;
    const warm = async (input: readonly string[], { signal }: { signal: AbortSignal }) => {
      await local.control('warm', { input }, signal);
      done += input.length;
      onProgress(done);
    };
    await pool.map(chunks, warm, { signal: stop.signal });
  });
  console.log(
    `Vectors made ahead in ${seconds(performance.now() - started)}, so that both runs wait for the network only.`,
  );
}

async function sequentialRun({ options, passages, api, local, stop }: Job): Promise<Run> {
  await local?.reset();
  const upstream = embeddingUpstream(1);
  const started = performance.now();
  await withProgress('one at a time', passages.length, (onProgress) =>
    embedOneByOne(api, passages, { upstream, size: options.size, stop, onProgress }),
  );
  return runOf('one at a time', performance.now() - started, upstream);
}

function runOf(label: string, ms: number, upstream: Upstream): Run {
  const { pool, retry } = upstream.getMetrics();
  if (pool === undefined) throw new Error('The upstream has no pool.');
  return { label, ms, pool, retries: retry?.retries ?? 0 };
}

async function startServer({ local }: Options, stop: AbortController): Promise<UpstreamServer> {
  const { delay, failEvery, seed, embedder } = local;
  const weather = { seed, latency: { median: delay }, faults: { every: failEvery } };
  const server = await startUpstream('llm', { embedder, weather }).catch((error: unknown) => {
    throw new UserError(messageOf(error), { cause: error });
  });
  void server.died.then((reason) => stop.abort(new UserError(`The embedding server died: ${reason}`)));
  return server;
}

function weatherOf(baseURL: string, { local: { embedder, delay, failEvery } }: Options): string {
  const vectors = embedder === 'model' ? 'Universal Sentence Encoder lite' : 'trigrams';
  const faults = failEvery === 0 ? 'no call fails' : `one call in ${failEvery} fails with 429 or 500`;
  return `Local server ${baseURL}: ${vectors}, about ${delay} ms a call, ${faults}`;
}

function notEmbedded({ errors, stats }: BatchReport<Passage, unknown>, api: EmbeddingApi): UserError {
  const [first] = errors;
  const why = explain(first?.reason, api);
  const have = errors.length === 1 ? 'has no vector,' : 'have no vector, the first is';
  return new UserError(
    `${errors.length} of ${count(stats.total, 'passage')} ${have} ${first?.item.file}:${first?.item.line}: ${messageOf(why)}`,
  );
}
