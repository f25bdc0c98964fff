import { PacelineError } from '../core/errors.js';

/** A reader of a shared stream fell further behind than `maxBuffer` chunks: what it would read next is gone. */
export class ReaderBehindError extends PacelineError {
  override readonly code = 'READER_BEHIND';
  readonly maxBuffer: number;

  constructor({ source, maxBuffer }: { source: string; maxBuffer: number }) {
    super(`A reader of \`${source}\` is further behind than its \`maxBuffer\` of ${maxBuffer} chunks`, source);
    this.maxBuffer = maxBuffer;
  }

  override get name(): 'ReaderBehindError' {
    return 'ReaderBehindError';
  }
}
