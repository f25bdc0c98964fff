/** What really reached the server since the last reset. */
export interface ServerStats {
  readonly inFlight: number;
  readonly peakInFlight: number;
  /** Calls for embeddings, failed ones included. */
  readonly calls: number;
  readonly answered: number;
  /** 429 */
  readonly rateLimited: number;
  /** 500 */
  readonly broken: number;
  /** 400, 401: the caller's mistake. */
  readonly rejected: number;
  /** The caller left before the answer. */
  readonly abandoned: number;
  /** Passages in answered calls. */
  readonly passages: number;
  /** Texts that were sent again before their Retry-After had passed. */
  readonly tooEarly: number;
  /** How long each text of a 429 stayed away, ms. */
  readonly cameBackAfterMs: readonly number[];
}

export class Counters {
  inFlight = 0;
  peakInFlight = 0;
  calls = 0;
  answered = 0;
  rateLimited = 0;
  broken = 0;
  rejected = 0;
  abandoned = 0;
  passages = 0;
  tooEarly = 0;
  readonly cameBackAfterMs: number[] = [];
}
