/**
 * Of all servers, ms. The second seed states what its steps take, and the bot's own measurement has those. The first states none: these are
 * what such services usually take, and the page of the figures says what depends on them.
 */
export const LATENCIES = {
  /** On the way to the database and back, for each statement. Its own work comes on top. */
  statement: 20,
  chat: { embedding: 150, shop: 200, firstToken: 200 },
  embeddings: { median: 300, p99: 540 },
  /** Of a page of the site, and one in fifty is a 500. */
  page: { median: 180, p99: 400 },
  dashboard: { median: 200, p99: 240 },
  /** The vectors of one page. */
  pageVectors: 120,
} as const;
