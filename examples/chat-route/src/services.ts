import { connect, type EmbeddingApi, embedTexts } from 'embedding-batcher/embed';
import {
  BackgroundTasks,
  type BreakerStateEvent,
  type CloseReport,
  MetricsRegistry,
  PromisePool,
  RetryBudget,
  Upstream,
} from 'paceline';
import { bounded, type Database } from './database/database.js';
import { migrate } from './database/migrate.js';
import { type ChatModel, connectModel } from './model.js';
import { type Product, type ShopService, searchProducts } from './shop.js';
import { Store } from './store.js';

export interface ServicesOptions {
  readonly openai: {
    readonly baseURL: string;
    readonly apiKey: string;
    readonly chatModel: string;
    readonly embeddingModel: string;
    /** Where the name of the model does not tell whose vectors they are. */
    readonly embeddingVersion?: string;
  };
  readonly shop: ShopService;
  readonly database: Database;
  readonly limits?: Partial<Limits>;
  readonly log?: (line: string) => void;
}

export interface Limits {
  /** Requests under way; one more is refused. */
  readonly requests: number;
  /** Answers under way at the model. */
  readonly llmConcurrency: number;
  /** Questions that wait for a slot there, and for how long, ms. */
  readonly llmQueue: number;
  readonly llmQueueTimeout: number;
  /** Longest silence of the model, before the first token and between two, ms. */
  readonly tokenTimeout: number;
  /** Calls at once, to the shop and for vectors. So many that a crowd is served within `contextTimeout`. */
  readonly searchConcurrency: number;
  /** Longest search in the shop and longest call for the vector of a question, ms. */
  readonly searchTimeout: number;
  /** Queries at once. Less than the database's `max_connections`, shared out among all processes. */
  readonly databaseConcurrency: number;
  /** How long the route waits for history, passages and products, ms. */
  readonly contextTimeout: number;
  /** How long a service that is down is left alone, ms. */
  readonly openFor: number;
}

export const DEFAULT_LIMITS: Limits = {
  requests: 500,
  llmConcurrency: 8,
  llmQueue: 64,
  llmQueueTimeout: 10_000,
  tokenTimeout: 15_000,
  searchConcurrency: 16,
  searchTimeout: 2_000,
  databaseConcurrency: 10,
  contextTimeout: 800,
  openFor: 10_000,
};

/** What the route needs. One for a process: a limit that each request makes for itself limits nothing. */
export interface Services {
  readonly limits: Limits;
  readonly model: ChatModel;
  readonly llm: Upstream;
  readonly embeddingApi: EmbeddingApi;
  readonly embeddings: Upstream;
  /** Vectors of different makers cannot be compared. */
  readonly vectorsBy: string;
  readonly shop: Upstream;
  readonly store: Store;
  /** One place for each request, held until nothing of it is left to do. */
  readonly requests: PromisePool;
  readonly metrics: MetricsRegistry;
  readonly log: (line: string) => void;
  vectorOf(question: string, signal: AbortSignal): Promise<readonly number[]>;
  products(question: string, signal: AbortSignal): Promise<Product[]>;
  /** From the outside in: who asks is closed before whom it asks. */
  close(options: { readonly grace: number }): Promise<CloseReport>;
}

/** @throws {UserError} the database cannot be prepared. */
export async function createServices(options: ServicesOptions): Promise<Services> {
  const { openai, shop: shopService, database, log = console.error } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const { openFor, searchTimeout } = limits;
  const onStateChange = ({ name, from, to }: BreakerStateEvent) => log(`${name}: breaker ${from} -> ${to}`);
  // A failure is told in milliseconds, the success of a stream at its end: the first results of a crowd are failures, also where most
  // calls succeed. So both counts are longer than what may be in flight.
  const breaker = (concurrency: number) => ({
    consecutiveFailures: 2 * concurrency,
    minCalls: 4 * concurrency,
    openFor,
    hooks: { onStateChange },
  });

  const requests = new PromisePool({ name: 'requests', concurrency: limits.requests, maxQueue: 0 });
  const llm = new Upstream({
    name: 'llm',
    // Of a stream: of each wait for a token.
    timeout: limits.tokenTimeout,
    // Who asks the same within a moment, by a double click or a reload, is read the same answer.
    coalesce: { ttl: 2_000 },
    retry: { maxAttempts: 3, baseDelay: 200, budget: new RetryBudget() },
    breaker: breaker(limits.llmConcurrency),
    pool: { concurrency: limits.llmConcurrency, maxQueue: limits.llmQueue, queueTimeout: limits.llmQueueTimeout },
  });
  const embeddings = new Upstream({
    name: 'embeddings',
    timeout: 30_000,
    // The route does not wait long for it. `finish`: what comes too late for one question is there for the next, and a service that
    // hangs meets its timeout, which the breaker counts. A call that is aborted because nobody waits tells it nothing.
    coalesce: { ttl: 600_000, maxEntries: 1_000, whenOrphaned: 'finish' },
    retry: { maxAttempts: 3, baseDelay: 100, budget: new RetryBudget() },
    breaker: breaker(limits.searchConcurrency),
    pool: { concurrency: limits.searchConcurrency, maxQueue: 200 },
  });
  const shop = new Upstream({
    name: 'shop',
    timeout: searchTimeout,
    coalesce: { ttl: 30_000, maxEntries: 1_000, whenOrphaned: 'finish' },
    breaker: breaker(limits.searchConcurrency),
    pool: { concurrency: limits.searchConcurrency, maxQueue: 200 },
  });
  const connections = new PromisePool({
    name: 'database',
    concurrency: limits.databaseConcurrency,
    maxQueue: 2_000,
    queueTimeout: 10_000,
  });
  const query = bounded(database, connections);
  const store = new Store(query, await migrate(query));
  const model = connectModel({ ...openai, model: openai.chatModel });
  const embeddingApi = connect({ ...openai, model: openai.embeddingModel });

  const metrics = new MetricsRegistry();
  for (const source of [requests, llm, embeddings, shop, connections, BackgroundTasks.shared]) metrics.add(source);
  return {
    limits,
    model,
    llm,
    embeddingApi,
    embeddings,
    vectorsBy: [openai.embeddingModel, openai.embeddingVersion].join(' '),
    shop,
    store,
    requests,
    metrics,
    log,
    async vectorOf(question, signal) {
      // The vector of a text is the same for everybody, so the key needs no view.
      const call = { key: ['vector', question], timeout: searchTimeout, signal };
      const [vector = []] = await embedTexts(embeddingApi, embeddings, [question], call);
      return vector;
    },
    products: (question, signal) => searchProducts(shopService, shop, question, signal),
    async close({ grace }) {
      const abortGrace = 1_000;
      // Who was cut off hands over what there is of the answer a moment later, and background work that is closed takes no more.
      const cut = await requests.close({ grace: abortGrace, abortGrace: 0 });
      const background = await BackgroundTasks.shared.close({ grace, abortGrace });
      // Nobody asks them any more. What runs is a search that was too late for its question.
      const asked = await Promise.all([llm, embeddings, shop].map((part) => part.close({ grace: 0, abortGrace })));
      const queries = await connections.close({ grace, abortGrace });
      await database.close();
      const left = [cut, background, ...asked, queries].flatMap((report) => report.left);
      return { ...background, clean: background.clean && queries.clean && left.length === 0, left };
    },
  };
}
