/** All times in ms. */
export interface BotConfig {
  readonly discord: {
    readonly token: string;
    /** Default: the real one. */
    readonly api?: string | undefined;
  };
  readonly gemini: {
    readonly apiKey: string;
    readonly model: string;
    /** Default: the real one. */
    readonly baseUrl?: string | undefined;
  };
  /** What the key for the model is allowed. */
  readonly quota: { readonly requestsPerMinute: number; readonly tokensPerMinute: number };
  /** Questions that are being answered at once, and those that may wait; one more is told to come later. */
  readonly answering: number;
  readonly waiting: number;
  /** Questions a minute of one person. */
  readonly perPerson: number;
  /** Messages of the channel that the model is shown. */
  readonly history: number;
  /** Longest whole answer of the model, with waits and repeats. */
  readonly answerWithin: number;
  /** Between two edits of an answer that is being written. Discord allows 5 in 5 s, in one channel. */
  readonly editEvery: number;
  /** How long an answer stays good. Older ones are kept for times of need. */
  readonly answerTtl: number;
  /** How long the model is left alone when it is down. */
  readonly restFor: number;
  readonly reportEvery: number;
  /** All times above, and those of pools and coalescers, are so many times shorter. For recordings that are played faster. */
  readonly timeScale: number;
  /** Off, every call of a coalescer has a key of its own. To see what sharing saves. */
  readonly share: boolean;
}

export const DEFAULTS: Omit<BotConfig, 'discord' | 'gemini'> = {
  quota: { requestsPerMinute: 150, tokensPerMinute: 250_000 },
  answering: 20,
  waiting: 200,
  perPerson: 20,
  history: 150,
  answerWithin: 60_000,
  editEvery: 1_000,
  answerTtl: 60_000,
  restFor: 10_000,
  reportEvery: 60_000,
  timeScale: 1,
  share: true,
};
